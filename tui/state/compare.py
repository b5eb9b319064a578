"""In what two runs of one lesson differ, A and B, as views like any other. Pure functions."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from msgspec import structs

from llm_holes.engine.frames import Array, Diff, Frame, Heatmap, Table, Text, Value, View
from llm_holes.engine.numbers import Kind, figure, kind_of, measurement
from llm_holes.tui.draw.arrays import matrix
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import named
from llm_holes.tui.state.named_views import named_views

SHORT = 32
"""Characters up to which a text is in the table; longer ones are compared word by word."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A finished run that others are held against; `run` is its number in the session."""

    run: int
    lesson: str
    settings: Mapping[str, Value]
    frame: Frame
    model: str = "intact"


def without(run: Pinned, views: AbstractSet[str], measurements: AbstractSet[str]) -> Pinned:
    """The run as it may be seen while these views, by name, and these measurements are closed."""
    seen = tuple(view for name, view in named_views(run.frame).items() if name not in views)
    told = {name: value for name, value in run.frame.measured.items() if name not in measurements}
    return replace(run, frame=structs.replace(run.frame, views=seen, measured=told))


def compared(a: Pinned, b: Pinned) -> tuple[View, ...]:
    """What differs between two runs: settings, each measurement, texts word by word, maps cell by cell."""
    return (
        _settings(a, b),
        *_measurements(a.frame.measured, b.frame.measured),
        *_texts(a.frame, b.frame),
        *_maps(a.frame.views, b.frame.views),
    )


def changed(a: Pinned, b: Pinned) -> dict[str, tuple[Value, Value]]:
    """What is set otherwise in B, and which model it ran on if that is another."""
    pairs = {"the model": (a.model, b.model)} | {
        name: (value, b.settings[name]) for name, value in a.settings.items() if name in b.settings
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _settings(a: Pinned, b: Pinned) -> View:
    rows = tuple((name, setting(one), setting(other)) for name, (one, other) in changed(a, b).items())
    if not rows:
        return Text("A | B: the same settings", "What differs below differs from run to run, as times do.")
    return Table("A | B: what was changed", ("", "A", "B"), rows)


def _measurements(a: Mapping[str, Value], b: Mapping[str, Value]) -> Iterator[View]:
    numbers: list[tuple[str, str, str, str]] = []
    others: list[tuple[str, str, str, str]] = []
    same: list[str] = []
    for name, one, other in both(a, b):
        if one == other:
            same.append(name)
        elif is_number(one) and is_number(other):
            numbers.append((name, short(name, one), short(name, other), difference(name, one, other)))
        elif not long(one, other):
            others.append((name, short(name, one), short(name, other), _change(one, other)))
    if numbers:
        names, *columns = zip(*numbers, strict=True)
        rows = tuple(zip(names, *map(_right, columns), strict=True))
        yield Table("A | B: measured", ("", "A", "B", "B − A"), rows)
    if others:
        yield Table("A | B: also measured", ("", "A", "B", ""), tuple(others))
    if same:
        yield Text("A | B: the same in both", ", ".join(same))


def both(a: Mapping[str, Value], b: Mapping[str, Value]) -> Iterator[tuple[str, Value, Value]]:
    """What both runs measured; of a group, each part by itself."""
    for name, one in a.items():
        other = b.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from ((f"{name}: {part}", one[part], other[part]) for part in one if part in other)
        elif other is not None:
            yield name, one, other


def long(a: Value, b: Value) -> bool:
    """Whether both are texts and one is too long for a table."""
    return isinstance(a, str) and isinstance(b, str) and max(len(a), len(b)) > SHORT


def is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _right(cells: tuple[str, ...]) -> list[str]:
    """Each number with its unit makes the column a text; so that they are below each other, they are padded."""
    width = max(map(len, cells))
    return [cell.rjust(width) for cell in cells]


def difference(name: str, a: Value, b: Value) -> str:
    """B − A in the unit of the measurement; of shares, in percentage points."""
    assert isinstance(a, int | float)
    assert isinstance(b, int | float)
    kind = kind_within_group(name)
    if kind == "equality":
        return "differs"
    text = measurement(name, b - a, kind)
    sign = "+" if b > a and text != "–" else ""
    return sign + (text.removesuffix(" %") + " points" if kind == "percent" else text)


def kind_within_group(name: str) -> Kind | None:
    """Of a part of a group, the group's."""
    return kind_of(name.partition(":")[0])


def setting(value: Value) -> str:
    """A setting: numbers as they were set."""
    return visible(measurement("", value, "exact"))


def short(name: str, value: Value) -> str:
    """A measurement in a cell."""
    if isinstance(value, list):
        return f"{len(value)} values"
    return named(measurement(name, value, kind_within_group(name)))


def _change(a: Value, b: Value) -> str:
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and all(map(is_number, (*a, *b))):
        largest = max(abs(float(one) - float(other)) for one, other in zip(a, b, strict=True))
        return f"up to {figure(largest)} apart"
    return "differs"


def _texts(a: Frame, b: Frame) -> Iterator[Diff]:
    """Measured texts too long for the table, then the texts that were drawn; those that did not change are left out."""
    for name, left in a.measured.items():
        right = b.measured.get(name, "")
        if left != right and long(left, right):
            assert isinstance(left, str)
            assert isinstance(right, str)
            yield Diff(f"A | B: {name}", left, right, "A", "B")
    told = [value for value in a.measured.values() if isinstance(value, str)]
    for one, other in _pairs(a.views, b.views):
        if isinstance(one, Text) and isinstance(other, Text) and one.text != other.text and one.text not in told:
            yield Diff(f"A | B: {other.title}", one.text, other.text, "A", "B")


def _maps(a: tuple[View, ...], b: tuple[View, ...]) -> Iterator[Heatmap]:
    for one, other in _pairs(a, b):
        if isinstance(one, Heatmap) and isinstance(other, Heatmap) and one.values.shape == other.values.shape:
            flat = [y - x for left, right in zip(matrix(one.values), matrix(other.values), strict=True)
                    for x, y in zip(left, right, strict=True)]  # fmt: skip
            if any(value for value in flat if math.isfinite(value)):
                values = Array("f4", other.values.shape, array("f", flat).tobytes())
                yield _subtracted(other, values)


def _subtracted(view: Heatmap, values: Array) -> Heatmap:
    return Heatmap(
        f"B − A: {view.title}", values, view.row_label, view.column_label, view.row_names, view.column_names, view.unit
    )  # fmt: skip


def _pairs(a: tuple[View, ...], b: tuple[View, ...]) -> Iterator[tuple[View, View]]:
    """The nth view of a kind in one frame and the nth of that kind in the other."""
    left = list(a)
    for other in b:
        at = next((n for n, view in enumerate(left) if type(view) is type(other)), None)
        if at is not None:
            yield left.pop(at), other
