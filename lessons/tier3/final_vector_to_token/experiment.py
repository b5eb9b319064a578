"""The last vector becomes a token: logits by hand, the distribution after each filter, and many draws from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Curve, Frame, Table, series
from llm_holes.engine.generation.sampling import (
    SamplingParams,
    Stage,
    generator,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    stages,
)
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import exact, figure, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.words import best, output_table

SHOWN = 10
ROWS_AT_ONCE = 16384
BATCHES = 4
TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.chat(p["text"]) if p["chat_template"] else engine.encode(p["text"])
    point = tap(engine.model.config.n_layers - 1, "hook_resid_post")
    out = engine.model.forward(torch.tensor([ids]), taps=[point], logits_to_keep=1)
    logits, state = out.logits[0, -1], torch.from_numpy(out.acts[point][0, -1])
    by_hand = recomputed(engine.model, state)
    params = SamplingParams(p["temperature"], p["top_k"], p["top_p"], p["min_p"], p["seed"])
    found = stages(logits, params)
    final = found[-1]
    first = int(logits.argmax())
    report, top, undecided = Report(), float(final.probabilities.max()), entropy(final.probabilities)
    report.measure(
        logits_recomputed_max_abs_diff=float((by_hand - logits).abs().max()),
        top_token=_label(engine, first),
        p_top1=top,
        p_top1_unfiltered=float(logits.softmax(-1)[first]),
        entropy_nats=undecided,
        kept_tokens=final.kept,
        kept_tokens_filters_first=_filters_first(logits, params),
    )
    shown = best(logits, SHOWN)
    report.show(
        **{"the_model's_own": _bars(engine, "the model's own distribution", logits.softmax(-1), shown)},
        what_is_left=_bars(engine, f"after {final.name}: {final.kept:,} kept", final.probabilities, shown),
        by_temperature=elastic(logits, params),
        stages=_stage_table(found, first),
        by_hand=_by_hand(engine, state, by_hand, logits, shown),
    )
    caption = (
        f"{spelt(_label(engine, first))} with {percent(top)} among {plural(final.kept, 'kept token')}, entropy "
        f"{figure(undecided)} nats."
    )
    report.say(caption)
    yield report.frame(0.2)

    pictures = report.views
    for counts, progress in _drawn(engine, final.probabilities, p["draws"], p["seed"]):
        chance = _against_chance(counts, final.probabilities)
        report.measure(chance)
        report.show(*pictures, draws=_sampled(engine, final.probabilities, counts, shown))
        report.say(caption)
        report.say_also(f"In {plural(chance['samples'], 'draw')} {chance['different_tokens_drawn']:,} of them came up.")
        yield report.frame(progress)


def _drawn(engine: Engine, p: Tensor, total: int, seed: int) -> Iterator[tuple[Tensor, float | None]]:
    """How often each token has come up so far, a batch at a time, and how far along that is."""
    counts, rng = torch.zeros_like(p), generator(seed)
    for batch in range(1, BATCHES + 1):
        if engine.model.is_cancelled():
            raise Cancelled
        counts = counts + draws(p, total * batch // BATCHES - int(counts.sum()), rng)
        if counts.any():
            yield counts, None if batch == BATCHES else 0.2 + 0.8 * batch / BATCHES


def _against_chance(counts: Tensor, p: Tensor) -> dict[str, Any]:
    samples = int(counts.sum())
    return {
        "samples": samples,
        "different_tokens_drawn": int((counts > 0).sum()),
        "sampled_vs_expected_tv_distance": tv_distance(counts, p),
        "chance_tv_distance": chance_tv_distance(p, samples),
    }


def recomputed(model: Decoder, state: Tensor) -> Tensor:
    """Logits [vocabulary] from the stream [d_model] after the last layer, in double precision and written anew: the
    norm, then one product after the other with each row of the output table."""
    x = state.double()
    x = x / (x.pow(2).mean() + model.config.norm_eps).sqrt() * model.weights["model.norm.weight"].double()
    table = output_table(model)
    starts = range(0, len(table), ROWS_AT_ONCE)
    parts = [(table[start : start + ROWS_AT_ONCE].double() * x).sum(-1) for start in starts]
    return torch.cat(parts).float()


def entropy(p: Tensor) -> float:
    """How undecided a distribution is, in nats; e to this power is how many equal chances it is worth."""
    return float(torch.special.entr(p.double()).sum())


def draws(p: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """How often each token [vocabulary] comes up in `count` draws."""
    if not count:
        return torch.zeros_like(p)
    return torch.multinomial(p, count, replacement=True, generator=rng).bincount(minlength=len(p)).float()


def tv_distance(counts: Tensor, p: Tensor) -> float:
    """Total variation: half the sum of all differences between frequencies and probabilities, 0 to 1."""
    return float((counts.double() / counts.sum() - p.double()).abs().sum() / 2)


def chance_tv_distance(p: Tensor, count: int) -> float:
    """The total variation `count` perfect draws have on average: half the sum of the mean deviations of the frequencies
    (De Moivre's formula for the binomial)."""
    p, n = p[p > 0].double(), float(count)
    m = (n * p).floor().clamp(max=n - 1) + 1
    ways = torch.lgamma(torch.tensor(n + 1)) - torch.lgamma(m + 1) - torch.lgamma(n - m + 1)
    rest = torch.log1p(-p.clamp(max=1 - 1e-15))
    return float((m * torch.exp(ways + m * p.log() + (n - m + 1) * rest)).sum() / n)


def elastic(logits: Tensor, params: SamplingParams) -> Curve:
    """How many tokens the same top-p keeps as the temperature rises."""
    kept = [stages(logits, replace(params, temperature=t, top_k=0, min_p=0))[-1].kept for t in TEMPERATURES]
    title = f"tokens that top-p {exact(params.top_p)} keeps, by temperature"
    return Curve(title, (series("kept", TEMPERATURES, kept),), "temperature", "tokens", log_y=True)


def _filters_first(logits: Tensor, params: SamplingParams) -> int:
    """How many tokens are kept if the filters come before the temperature, as some programs do it."""
    if params.temperature <= 0:
        return 1
    p = keep_min_p(keep_top_p(keep_top_k(logits.softmax(-1), params.top_k), params.top_p), params.min_p)
    return int((p > 0).sum())


def _label(engine: Engine, token: int) -> str:
    return engine.token_text(token) if token < engine.tokenizer.vocabulary else f"row {token}, no token"


def _by_hand(engine: Engine, state: Tensor, by_hand: Tensor, logits: Tensor, shown: Sequence[int]) -> Table:
    rows = tuple((_label(engine, i), float(by_hand[i]), float(logits[i]), float(logits.softmax(-1)[i])) for i in shown)
    title = f"{len(state):,} numbers of the last position, normed, times each of {len(logits):,} rows"
    return Table(title, ("token", "logit by hand", "logit of the model", "softmax"), rows)


def _stage_table(found: Sequence[Stage], first: int) -> Table:
    rows = tuple((s.name, s.kept, entropy(s.probabilities), float(s.probabilities[first])) for s in found)
    return Table("stage by stage", ("after", "kept", "entropy, nats", "P(likeliest)"), rows)


def _bars(engine: Engine, title: str, probabilities: Tensor, shown: Sequence[int]) -> Bars:
    """The shares of these tokens, and of all others together."""
    values = probabilities[list(shown)].tolist()
    values.append(max(0.0, 1 - sum(values)))
    labels = (*(_label(engine, i) for i in shown), "all others")
    return Bars(title, labels, tuple(values), "probability", range=(0, 1))


def _sampled(engine: Engine, p: Tensor, counts: Tensor, shown: Sequence[int]) -> Table:
    total = float(counts.sum())
    rows = [(_label(engine, i), float(p[i]), float(counts[i]) / total, int(counts[i])) for i in shown]
    rest = float(counts.sum() - counts[list(shown)].sum())
    rows.append(("all others", max(0.0, 1 - float(p[list(shown)].sum())), rest / total, int(rest)))
    return Table(plural(total, "draw"), ("token", "probability", "frequency", "times"), tuple(rows))
