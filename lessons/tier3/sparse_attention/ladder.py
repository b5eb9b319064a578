"""A hidden fact asked for under four ways of looking, wherever it was hidden: full attention, the pattern alone, the
pattern with first tokens, and the same in every second layer only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Curve, Heatmap, series
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.sparse_attention import SparseAttention, SparseMask
from llm_holes.lessons.shared.layer_choice import ALL, chosen
from llm_holes.lessons.tier3.sparse_attention.needle import Found, Needle, look

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST = 0.005
"""A chance below this is not worth its number."""
NAMES = {0.0: "start", 0.25: "1/4", 0.5: "middle", 0.75: "3/4", 1.0: "end"}


@dataclass(frozen=True, slots=True)
class Way:
    """A way of looking: this pattern in these layers; full attention in the others."""

    name: str
    pattern: SparseMask
    layers: tuple[int, ...]

    def on(self, engine: Engine) -> Engine:
        return engine.operated([SparseAttention(self.pattern, self.layers)]) if self.layers else engine


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of asking in one way, at each depth."""

    way: Way
    found: tuple[Found, ...]

    @property
    def places(self) -> int:
        return sum(one.found for one in self.found)


def ways(set_now: Way, n_layers: int) -> tuple[Way, ...]:
    """Full attention, then the pattern step by step; what the dials say is one of them, or takes the place of the
    pattern alone."""
    kind, size, sinks = set_now.pattern.kind, set_now.pattern.size, max(1, set_now.pattern.sinks)
    every, half = (chosen(choice, 0, n_layers) for choice in (ALL, "every second"))
    with_first = SparseMask(kind, size, sinks)
    steps = (
        Way(f"{kind} {size}", SparseMask(kind, size), every),
        Way("+ first token" if sinks == 1 else f"+ first {sinks}", with_first, every),
        Way("+ half full", with_first, half),
    )
    full = Way("full attention", with_first, ())
    same = [(way.pattern, way.layers) for way in steps]
    if (set_now.pattern, set_now.layers) in same:
        return (full, *steps)
    return (full, set_now, *steps[1:])


def ask(engine: Engine, needles: Sequence[Needle], all_ways: Sequence[Way]) -> Iterator[Tried]:
    for way in all_ways:
        yield Tried(way, tuple(look(way.on(engine), needles)))


def looks_needed(needle: Needle, set_now: Way, n_layers: int) -> int:
    """How many looks, one a layer, lead from the last token before the answer back to the fact; 0 if none do."""
    end = len(needle.ids) - len(needle.answer)
    fact = slice(needle.at, needle.at + needle.length)
    if len(set_now.layers) < n_layers:
        return 1
    position = torch.arange(end)
    sees = set_now.pattern.sees(position[:, None], position)
    reached = torch.zeros(end, dtype=torch.bool)
    reached[-1] = True
    for looks in range(1, n_layers + 1):
        reached = reached | sees[reached].any(0)
        if reached[fact].any():
            return looks
    return 0


def by_depth(engine: Engine, needle: Needle, depths: Sequence[float], tried: Sequence[Tried]) -> Curve:
    """The chance of the right answer by hiding place, one line for each way."""
    lines = tuple(series(one.way.name, depths, [found.p for found in one.found]) for one in tried)
    title = f"chance of {_answer(engine, needle)}, asked for at the end"
    return Curve(title, lines, x_label="hidden at: 0 start, 1 end", y_label="probability", y_range=(0, 1))


def found_or_lost(
    engine: Engine, needle: Needle, depths: Sequence[float], tried: Sequence[Tried], at: tuple[int, int]
) -> Heatmap:
    """The same as a map, where each place says whether the model would say the answer; the cursor stands `at` a way and
    a depth."""
    rows = [[found.p for found in one.found] for one in tried]
    return Heatmap(
        f"would it say {_answer(engine, needle)}? (its chance)",
        Array.of(rows),
        "way",
        "hidden at",
        tuple(one.way.name for one in tried),
        tuple(NAMES.get(depth, percent(depth)) for depth in depths),
        unit="probability",
        texts=tuple(_said(found) for one in tried for found in one.found),
        cursor=at,
        range=(0, 1),
    )


def _said(found: Found) -> str:
    word = "found" if found.found else "lost"
    return f"{word} {percent(round(found.p, 2))}" if found.p >= LEAST else word


def _answer(engine: Engine, needle: Needle) -> str:
    return spelt("".join(engine.token_text(i) for i in needle.answer))
