"""The cache as it is drawn: layers x tokens while it fills, and steps x tokens, what is kept against computed again."""

from __future__ import annotations

from collections.abc import Sequence

from llm_holes.engine.frames import Array, CacheGrid, CellState

STATES: tuple[CellState, ...] = ("empty", "kept", "read", "written", "recomputed", "changed")
CODE = {state: n for n, state in enumerate(STATES)}
STEPS_SHOWN = 12


def grid(
    title: str,
    tokens: Sequence[str],
    rows: Sequence[Sequence[CellState]],
    label: str = "layer",
    names: Sequence[str] = (),
) -> CacheGrid:
    cells = Array.of([[CODE[state] for state in row] for row in rows], "u1")
    return CacheGrid(title, tuple(tokens), cells, STATES, label, tuple(names))


def filling(tokens: Sequence[str], layers: int, held: int, new: int) -> CacheGrid:
    """Every layer alike: `held` tokens of which the last `new` were written in this pass and the others read; those
    after them are still to come."""
    row = _row(("read", held - new), ("written", new), ("empty", len(tokens) - held))
    title = "keys and values, layer by layer: the prompt goes in" if held == new else "one more token: all is read back"
    return grid(title, tokens, [row] * layers)


def again_or_kept(tokens: Sequence[str], prompt: int, steps: int) -> CacheGrid:
    """A row is the pass for one more token, with the cache and without; at most `STEPS_SHOWN` passes of each."""
    shown = sorted({round(n * (steps - 1) / max(STEPS_SHOWN - 1, 1)) for n in range(STEPS_SHOWN)} if steps > 1 else {0})
    rows: list[list[CellState]] = []
    names: list[str] = []
    ways: tuple[tuple[str, CellState], ...] = (("kept", "kept"), ("again", "recomputed"))
    for way, earlier in ways:
        for step in shown:
            rows.append(_row((earlier, prompt + step), ("written", 1), ("empty", len(tokens) - prompt - step - 1)))
            names.append(f"{way} {step + 1}")
    some = "" if len(shown) == steps else f"; {len(shown)} of {steps} shown"
    return grid(f"what a pass computes with the cache (kept) and without (again){some}", tokens, rows, "pass", names)


def _row(*stretches: tuple[CellState, int]) -> list[CellState]:
    return [state for state, length in stretches for _ in range(length)]
