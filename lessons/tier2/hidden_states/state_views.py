"""Pictures of a word's states on their way through the layers."""

from __future__ import annotations

from collections.abc import Sequence

from llm_holes.engine.frames import Curve, series
from llm_holes.engine.spelling import spaced, spelt
from llm_holes.lessons.tier2.hidden_states.reader import Readings
from llm_holes.lessons.tier2.hidden_states.tug import Rope
from llm_holes.lessons.tier2.hidden_states.word_place import Place

LAYERS = "layers passed"
REACH = 0.6
"""How far to either side the tug of war is drawn at least."""


def tug_curve(between: Rope, places: tuple[Place, Place], leans: tuple[Sequence[float], Sequence[float]]) -> Curve:
    """One line per text, called by the words it ends with: up towards the first meaning, down towards the second."""
    lines = [
        series(f"… {spaced(place.name.strip())}", range(len(y)), y) for place, y in zip(places, leans, strict=True)
    ]
    up, down = map(spelt, between.names)
    title = f"↑ more like {up}   ↓ more like {down}"
    return Curve(title, tuple(lines), LAYERS, "", y_range=(-REACH, REACH))


def cosine_curve(raw: Sequence[float], rest: Sequence[float], off: int) -> Curve:
    xs = range(len(raw))
    lines = [series("all channels", xs, raw)]
    if off:
        lines.append(series(f"without the {off} largest" if off > 1 else "without the largest", xs, rest))
    return Curve("how alike the two states are", tuple(lines), LAYERS, "cosine", y_range=(-1, 1))


def norm_curve(first: Place, word: str) -> Curve:
    norms = first.stream.norm(dim=-1)
    xs = range(len(norms))
    lines = [series(word.strip(), xs, first.own.norm(dim=-1).tolist())]
    lines.append(series("median of the text", xs, norms.median(-1).values.tolist()))
    if first.stream.shape[1] == len(first.ids):
        lines.append(series("first token", xs, norms[:, 0].tolist()))
    return Curve("length of the vectors", tuple(lines), LAYERS, "length", log_y=True)


def reading_curve(read: Readings, how: str) -> Curve:
    """What a reader can tell from the states, and what it would get for always saying the same."""
    xs = range(len(next(iter(read.right.values()))))
    lines = [series(asked, xs, y) for asked, y in read.right.items()]
    lines.append(series("always the commonest", xs, [read.baseline] * len(xs)))
    title = f"what can be read off a state ({read.tests} tokens, {how})"
    return Curve(title, tuple(lines), LAYERS, "share right", y_range=(0, 1))
