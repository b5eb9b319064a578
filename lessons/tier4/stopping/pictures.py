"""What the lesson draws of the end token: after which line it is likely, along an answer, and without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Bars, Diff, Heatmap, RankRace, Runner, Text, Tokens
from llm_holes.engine.generation.generate import Step
from llm_holes.engine.numbers import odds, percent
from llm_holes.engine.spelling import spaced, spelt
from llm_holes.lessons.tier4.stopping.requests import ranks

RIVALS = 3
"""Runners of the race besides the end."""


def rank(step: Step) -> int:
    """The end token's place among all tokens, the likeliest at 1."""
    return step.end_rank + 1


def by_request(
    engine: Engine,
    rows: Mapping[str, Sequence[float]],
    read: Sequence[int],
    ends: Sequence[int],
    own: str,
    hidden: bool,
) -> Heatmap:
    """P(end) by the number asked for and the end [request, end] at which the answer read could stop."""
    values = [list(row) for row in rows.values()]
    names = tuple(f"{i}{'' if end else ' (nothing)'}" for i, end in enumerate(ends, 1))
    at_own = list(rows).index(own)
    said = [f"after {spelt(engine.token_text(read[end - 1]))}" if end else "before anything" for end in ends]
    return Heatmap(
        "P(end) after each line or sentence" + (", the number hidden" if hidden else ""),
        Array.of(values),
        row_label="asked for",
        column_label="after line",
        row_names=tuple(number or "no number" for number in rows),
        column_names=names,
        unit="probability",
        first=1,
        cursor=(at_own, max(range(len(ends)), key=values[at_own].__getitem__)),
        details=tuple(
            f"asked for {number or 'no number'}, {place}: P(end) {percent(p)}"
            for number, row in rows.items()
            for place, p in zip(said, row, strict=True)
        ),
    )


def two_ends(
    engine: Engine, rows: Mapping[str, Sequence[Sequence[float]]], tokens: Sequence[int], ends: Sequence[int]
) -> Heatmap | Text:
    """P of each end token at the ends [end] of the answer read, for each way of putting the request."""
    if not tokens:
        return Text("end tokens", "This model's vocabulary has none.")
    names, values, details = [], list[list[float]](), []
    for n, token in enumerate(tokens):
        for place, (way, found) in enumerate(rows.items()):
            names.append(way if place else engine.token_text(token))
            values.append([found[n][end] for end in ends])
            details += [f"{engine.token_text(token)}, {way}: {odds(p)}" for p in values[-1]]
    ways = " and ".join(rows)
    return Heatmap(
        f"each end token, {ways}",
        Array.of(values),
        row_label="end token",
        column_label="after line",
        row_names=tuple(names),
        column_names=tuple(f"{i}{'' if end else ' (nothing)'}" for i, end in enumerate(ends, 1)),
        unit="probability",
        texts=tuple(percent(p).replace("under", "<") for row in values for p in row),
        details=tuple(details),
        first=1,
        range=(0, 1),
    )


def strip(engine: Engine, steps: Sequence[Step]) -> Tokens:
    """Each token with what the end token had in its place."""
    notes = [f"P(end) here {percent(step.p_end)}, rank {rank(step):,}; chosen with {percent(step.p)}" for step in steps]
    tokens = engine.tokens([step.token for step in steps], notes)
    return Tokens("the answer, shaded by P(end)", tokens, tuple(step.p_end for step in steps), "P(end)")


def race(
    engine: Engine, prompt: Sequence[int], steps: Sequence[Step], ends: Sequence[int], rivals: int = RIVALS
) -> RankRace:
    """The end's rank at each step, beside those of its strongest rivals where something ends."""
    stops = tuple(end for end in ends if end < len(steps))
    others = list(dict.fromkeys(_rival(engine, steps[i]) for i in (*stops, len(steps) - 1)))[:rivals]
    found = ranks(engine, prompt, [step.token for step in steps], others) if others else []
    runners = [(spaced(engine.token_text(token)), tuple(line)) for token, line in zip(others, found, strict=True)]
    end = (engine.tokenizer.end_token or "end", tuple(rank(step) for step in steps))
    return RankRace(
        "the rank of the end among all tokens, step by step",
        tuple(spaced(engine.token_text(step.token)) for step in steps),
        tuple(Runner(*runner) for runner in (end, *runners)),
        stops,
        "a line or sentence is over",
        engine.model.config.d_vocab,
    )


def _rival(engine: Engine, step: Step) -> int:
    """The likeliest token of the step that is not an end."""
    tokens = [token for token, _ in step.top]
    return next((token for token in tokens if token not in engine.tokenizer.eos_ids), tokens[0])


def longer(engine: Engine, natural: Sequence[Step], after: Sequence[Step]) -> Diff | Text:
    """The answer and how it goes on with the end forbidden; where something else ended it, only the answer."""
    text, end = "".join(step.text for step in natural), engine.tokenizer.end_token or "the end"
    if not after:
        return Text(f"ended from outside: {natural[-1].stop_reason or 'running'}", text)
    more = text + "".join(step.text for step in after)
    return Diff(f"with {end} forbidden it goes on", text, more, "it stopped here", "forbidden to stop")


def last_step(engine: Engine, last: Step) -> Bars:
    """The likeliest tokens of the last step, and the one chosen, however unlikely it was."""
    best = dict(last.top) | {last.token: last.p}
    return Bars(
        "the last step: the likeliest tokens, and the one chosen",
        tuple(engine.token_text(token) for token in best),
        tuple(best.values()),
        "probability",
        marked=list(best).index(last.token),
        range=(0, 1),
    )
