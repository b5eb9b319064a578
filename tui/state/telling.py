"""Of two runs, A and B: what was set otherwise, and the few measurements that tell most. Pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.cells import cell_len

from llm_holes.engine.frames import Value
from llm_holes.engine.numbers import Kind
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import GAP, Row, Span, fit, fitted
from llm_holes.tui.state.compare import (
    Pinned,
    both,
    changed,
    difference,
    is_number,
    kind_within_group,
    long,
    setting,
    short,
)

MOST = 3
"""How many differences are named; all are in the tables of `compared`."""
RESTLESS: frozenset[Kind | None] = frozenset({
    "duration", "microseconds", "gb_per_s", "mb_per_s", "gflop_per_s", "tokens_per_s", "equality"
})  # fmt: skip
"""Times, speeds and rounding errors, which differ from run to run."""
UNIT = re.compile(r"_(ms|us|bytes|nats)(?=$|:)")
"""The unit in a measurement's name, which its value says too."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A measurement's everyday name, its value in A and in B, and B − A; `by` is empty where that means nothing."""

    name: str
    a: str
    b: str
    by: str


def most_telling(a: Pinned, b: Pinned) -> tuple[Difference, ...]:
    """The measurements that differ by the largest part of the larger value; times, speeds and rounding errors last.

    What is no quantity (a text, a truth value, the number of a row) counts as much as a number that doubled. Left out
    is what only repeats a setting or reads the same in both, and what is long: texts and lists are pictures or in the
    tables."""
    found = [(change, name, one, other) for change, name, one, other in _changes(a, b)]
    found.sort(key=lambda entry: (kind_within_group(entry[1]) in RESTLESS, -entry[0]))
    return tuple(_said(name, one, other) for _, name, one, other in found[:MOST])


def _changes(a: Pinned, b: Pinned) -> Iterator[tuple[float, str, Value, Value]]:
    """How much each measurement changed, with its name and its two values."""
    for name, one, other in both(a.frame.measured, b.frame.measured):
        repeats = name in a.settings and name in b.settings and (one, other) == (a.settings[name], b.settings[name])
        unsaid = repeats or long(one, other) or isinstance(one, list) or isinstance(other, list)
        if not unsaid and short(name, one) != short(name, other):
            yield change(name, one, other), name, one, other


def change(name: str, a: Value, b: Value) -> float:
    """|B − A| as a part of the larger of |A| and |B|, 0..2; a half for what is no quantity."""
    if not _is_quantity(name, a) or not _is_quantity(name, b):
        return 0.5
    assert isinstance(a, int | float)
    assert isinstance(b, int | float)
    larger = max(abs(a), abs(b))
    return abs(b - a) / larger if larger else 0.0


def _is_quantity(name: str, value: Value) -> bool:
    return (
        is_number(value) and isinstance(value, int | float) and math.isfinite(value)
        and kind_within_group(name) != "index"
    )  # fmt: skip


def _said(name: str, a: Value, b: Value) -> Difference:
    quantities = _is_quantity(name, a) and _is_quantity(name, b)
    told = difference(name, a, b) if quantities and kind_within_group(name) != "equality" else ""
    return Difference(visible(UNIT.sub("", name).replace("_", " ")), short(name, a), short(name, b), told)


def settings_of(run: Pinned, labels: Mapping[str, str]) -> str:
    """What a run was made with, without its texts: `layer 18 · head 6`. `labels` are the dials' names."""
    shown = {name: value for name, value in run.settings.items() if not isinstance(value, str) or len(value) < 16}
    return " · ".join(f"{labels.get(name, name)} {setting(value)}" for name, value in shown.items())


def what_changed(a: Pinned, b: Pinned, labels: Mapping[str, str]) -> str:
    """What is set otherwise in B: `layer 18 → 3 · another text`."""
    said = [
        f"another {labels.get(name, name)}" if long(one, other)
        else f"{labels.get(name, name)} {setting(one)} → {setting(other)}"
        for name, (one, other) in changed(a, b).items()
    ]  # fmt: skip
    return " · ".join(said) or "the same settings as A"


def pinned_rows(a: Pinned, labels: Mapping[str, str], width: int) -> list[Row]:
    """What is pinned, as long as there is no B."""
    with_ = settings_of(a, labels)
    head = [Span("A", "lit"), Span(" is pinned" + (f": {with_}" if with_ else ""))]
    then = "change something and run: B comes beside it · "
    how = [Span(then, "dim"), Span("a", "act-strong"), Span(" lets A go", "dim")]
    return [fitted(head, width), fitted(how, width)]


def difference_rows(a: Pinned, b: Pinned, labels: Mapping[str, str], width: int) -> list[Row]:
    """One line with what was set otherwise, then one for each of the most telling differences, in columns."""
    head = fitted([Span("B", "lit"), Span(": " + what_changed(a, b, labels), "strong")], width)
    found = most_telling(a, b)
    if not found:
        return [head, [Span(fit("nothing that was measured differs", width).rstrip(), "dim")]]
    columns = [[one.name for one in found], [one.a for one in found], [one.b for one in found]]
    names, left, right = (max(map(cell_len, column)) for column in columns)
    last = max(cell_len(one.by) for one in found)
    names = min(names, max(width - left - right - last - 3 * GAP - len("A B B − A "), width // 4))
    rows = []
    for one in found:
        row = [Span(fit(one.name, names) + " " * GAP)]
        for mark, value, size in (("A", one.a, left), ("B", one.b, right)):
            row += [Span(f"{mark} ", "dim"), Span(fit(value, size) + " " * GAP, "measured")]
        if one.by:
            row += [Span("B − A ", "dim"), Span(one.by, "measured")]
        rows.append(fitted(row, width))
    return [head, *rows]
