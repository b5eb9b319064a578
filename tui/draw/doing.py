"""What a run does just now, in words as long as there is room for."""

from __future__ import annotations

from rich.cells import cell_len

from llm_holes.engine.numbers import count, plural
from llm_holes.engine.work import LAYER, Doing


def doing_text(doing: Doing, room: int) -> str:
    """As much as fits into so many cells, the nearest first; its length changes with what is done, not with how far.
    "" where nothing fits."""
    parts = _parts(doing)
    while parts and cell_len(" · ".join(parts)) > room:
        parts.pop()
    return " · ".join(parts)


def _parts(doing: Doing) -> list[str]:
    work = doing.work
    place = work.what + (f" {_aligned(work.done, work.of)} of {count(work.of)}" if work.of > 1 else "")
    if work.what != LAYER:
        return [place]
    if doing.steps:
        return [f"token by token: {count(doing.steps)}", place]
    parts = [place, plural(work.tokens, "token")]
    if 0 < doing.readings <= doing.of_readings:
        return [*parts, f"reading {_aligned(doing.readings, doing.of_readings)} of about {doing.of_readings}"]
    return [*parts, f"pass {count(doing.passes)}"] if doing.passes > 1 else parts


def _aligned(done: int, of: int) -> str:
    return count(done).rjust(len(count(of)))
