"""Two pictures of one kind on one scale, so that A and B can be compared by eye. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from msgspec import structs

from llm_holes.engine.frames import Bars, Curve, Gallery, Heatmap, RankRace, View
from llm_holes.tui.draw.arrays import matrices, matrix
from llm_holes.tui.draw.spans import SHARES

Range = tuple[float, float]
ONE_AND_A_BIT = math.nextafter(1.0, 2.0)


def on_one_scale(a: View, b: View) -> tuple[View, View]:
    """Both views with axes, or shades, that span what either of them shows; bars that both have in one order. Views of
    unlike kinds, and those that have no scale or always the same one, stay as they are."""
    match a, b:
        case Bars(), Bars():
            return _bars(a, b)
        case Curve(), Curve():
            x, y = _common([*_xs(a), *_xs(b)]), _common([*_ys(a), *_ys(b)], a.y_range, b.y_range)
            return structs.replace(a, x_range=x, y_range=y), structs.replace(b, x_range=x, y_range=y)
        case Heatmap(), Heatmap():
            shades = _common(chain(_cells(a), _cells(b)))
            return structs.replace(a, range=shades), structs.replace(b, range=shades)
        case Gallery(), Gallery():
            shades = _common(chain(_items(a), _items(b)))
            return structs.replace(a, range=shades), structs.replace(b, range=shades)
        case RankRace(), RankRace():
            last = max(a.last, b.last, *(rank for view in (a, b) for runner in view.runners for rank in runner.ranks))
            return structs.replace(a, last=last), structs.replace(b, last=last)
    return a, b


def _common(values: Iterable[float], *ranges: Range | None) -> Range | None:
    """From the smallest to the largest finite value, and what the views span anyway; None without values.

    An axis of 0 to 1 means shares. Numbers that only happen to span that, and are none, get one that is longer by the
    least there is."""
    given = [end for span in ranges if span is not None for end in span]
    finite = [value for value in chain(values, given) if math.isfinite(value)]
    if not finite:
        return None
    found = min(finite), max(finite)
    return (0.0, ONE_AND_A_BIT) if found == SHARES and SHARES not in ranges else found


def _xs(view: Curve) -> Iterator[float]:
    yield from view.x_range or ()
    for series in view.series:
        yield from series.x
    yield from (mark.x for mark in view.marks)


def _ys(view: Curve) -> Iterator[float]:
    for series in view.series:
        for y in chain(series.y, series.low, series.high):
            if y > 0 or not view.log_y:
                yield y
    yield from (mark.y for mark in view.marks if mark.y > 0 or not view.log_y)


def _cells(view: Heatmap) -> Iterator[float]:
    yield from view.range or ()
    yield from chain.from_iterable(matrix(view.values))


def _items(view: Gallery) -> Iterator[float]:
    yield from view.range or ()
    for cells in matrices(view.values):
        yield from chain.from_iterable(cells)


def _bars(a: Bars, b: Bars) -> tuple[Bars, Bars]:
    axis = _common([0.0, *a.values, *b.values], a.range, b.range)
    places = merged(a.labels, b.labels)
    return _ordered(structs.replace(a, range=axis), places), _ordered(structs.replace(b, range=axis), places)


def merged(a: tuple[str, ...], b: tuple[str, ...]) -> Mapping[str, int]:
    """The place of each label in one order for both: that of `a`, with each label that only `b` has after all those it
    follows there. Empty if no label is in both, or one of them has a label twice: then there is nothing to align."""
    if not set(a) & set(b) or len(set(a)) < len(a) or len(set(b)) < len(b):
        return {}
    order = list(a)
    at = 0
    for label in b:
        if label in a:
            at = max(at, order.index(label) + 1)
        else:
            order.insert(at, label)
            at += 1
    return {label: place for place, label in enumerate(order)}


def _ordered(view: Bars, places: Mapping[str, int]) -> Bars:
    if not places:
        return view
    order = sorted(range(min(len(view.labels), len(view.values))), key=lambda n: places[view.labels[n]])
    return structs.replace(
        view,
        labels=tuple(view.labels[n] for n in order),
        values=tuple(view.values[n] for n in order),
        marked=order.index(view.marked) if view.marked in order else None,
    )
