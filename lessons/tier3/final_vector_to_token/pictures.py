"""The list with its cut lines, two texts side by side, and how heat moves the cuts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Curve, Cut, Mark, RankedList, Table, series
from llm_holes.engine.generation.sampling import SamplingParams, Stage, stages
from llm_holes.engine.numbers import exact, plural
from llm_holes.lessons.shared.words import best
from llm_holes.lessons.tier3.final_vector_to_token.by_hand import entropy
from llm_holes.lessons.tier3.final_vector_to_token.filters import each_alone, kept

LISTED = 18
SHOWN = 10
TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def label(engine: Engine, token: int) -> str:
    return engine.token_text(token) if token < engine.tokenizer.vocabulary else f"row {token}, no token"


def sorted_list(engine: Engine, logits: Tensor, params: SamplingParams) -> RankedList:
    """The likeliest tokens after the heat, and where each filter alone would cut."""
    shares = stages(logits, replace(params, top_k=0, top_p=1.0, min_p=0.0))[0].probabilities
    shown = best(logits, LISTED)
    values = shares[shown].tolist()
    cuts = tuple(Cut(name, kept(logits, alone)) for name, alone in each_alone(params).items())
    title = f"what may come next, at temperature {exact(params.temperature)}"
    labels = tuple(label(engine, token) for token in shown)
    return RankedList(title, labels, tuple(values), cuts, len(logits), max(0.0, 1 - sum(values)))


def sure_and_open(texts: Mapping[str, Tensor], params: SamplingParams) -> Bars:
    """How many tokens each filter keeps, of each text: the logits by the texts' names."""
    filters = each_alone(params) or {"no filter": params}
    found = {
        f"{text}: {name}": kept(logits, alone) for name, alone in filters.items() for text, logits in texts.items()
    }
    return Bars("tokens kept", tuple(found), tuple(map(float, found.values())), "tokens")


def with_heat(texts: Mapping[str, Tensor], params: SamplingParams) -> Curve:
    """How many tokens each filter keeps as the temperature rises; the place of the text now is marked."""
    hot = replace(params, temperature=1.0)
    filters = {name: alone for name, alone in each_alone(hot).items() if not alone.top_k} or each_alone(hot)
    lines = []
    for name, alone in (filters or {"no filter": hot}).items():
        for text, logits in texts.items():
            y = [kept(logits, replace(alone, temperature=t)) for t in TEMPERATURES]
            lines.append(series(f"{text}: {name}", TEMPERATURES, y))
    marks = tuple(Mark(text, params.temperature, y) for text, y in _now(filters, texts, params))
    return Curve("tokens kept", tuple(lines), "temperature", "tokens", log_y=True, marks=marks)


def _now(
    filters: Mapping[str, SamplingParams], texts: Mapping[str, Tensor], params: SamplingParams
) -> Iterator[tuple[str, int]]:
    """How many tokens the first of the filters keeps of each text at the temperature that is set, if it is drawn."""
    if filters and TEMPERATURES[0] <= params.temperature <= TEMPERATURES[-1]:
        alone = replace(next(iter(filters.values())), temperature=params.temperature)
        yield from ((text, kept(logits, alone)) for text, logits in texts.items())


def by_hand_table(engine: Engine, by_hand: Tensor, logits: Tensor) -> Table:
    shares = logits.softmax(-1)
    rows = tuple((label(engine, i), float(by_hand[i]), float(logits[i]), float(shares[i])) for i in best(logits, SHOWN))
    return Table("the score by hand", ("token", "by hand", "the model", "share"), rows)


def stage_table(found: Sequence[Stage], first: int) -> Table:
    rows = tuple((s.name, s.kept, entropy(s.probabilities), float(s.probabilities[first])) for s in found)
    return Table("stage by stage", ("after", "kept", "entropy, nats", "P(likeliest)"), rows)


def draws_table(engine: Engine, logits: Tensor, p: Tensor, counts: Tensor) -> Table:
    """How often the likeliest tokens came up, beside how often they should."""
    shown, total = best(logits, SHOWN), float(counts.sum())
    rows = [(label(engine, i), float(p[i]), float(counts[i]) / total, int(counts[i])) for i in shown]
    rest = float(counts.sum() - counts[shown].sum())
    rows.append(("all others", max(0.0, 1 - float(p[shown].sum())), rest / total, int(rest)))
    return Table(plural(total, "draw"), ("token", "probability", "frequency", "times"), tuple(rows))
