"""Candidates from the likeliest on, as rows of spans: bars on one fixed scale, and the lines at which filters cut."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.cells import cell_len

from llm_holes.engine.frames import Cut, RankedList
from llm_holes.engine.numbers import count, percent, plural
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import EIGHTHS, GAP, POINTER, Row, Span, fit, named, titled

CUT_AWAY = "░"
"""A bar below a cut, so that it can be told from one above without colour."""
LEAST = 4
"""Columns that a bar always keeps."""


def ranked_rows(view: RankedList, width: int, cursor: int | None = None) -> list[Row]:
    """Rank, name, bar and share of each candidate; a line after the last one that a filter keeps; what is not listed.

    Bars run from 0 % to 100 %, whatever is in the list."""
    if not view.labels:
        return titled(view.title, "", [[Span("no candidates", "dim")]])
    listed, survivors = len(view.labels), kept_by_all(view)
    left_out = max(view.total - listed, 0)
    rest = [f"{count(left_out)} not listed"] if left_out else []
    names = [named(label) for label in view.labels]
    shares = [percent(value) for value in view.values]
    ranks, numbers = len(str(listed)), max(map(len, [*shares, percent(view.rest) if rest else ""]))
    room = width - len(POINTER) - ranks - numbers - 3 * GAP
    name_width = min(max(map(cell_len, [*names, *rest])), max(room * 2 // 5, room - 60, LEAST))
    bar_width = max(room - name_width, LEAST)
    rows: list[Row] = []
    for n, (name, value, share) in enumerate(zip(names, view.values, shares, strict=False)):
        rows += _cut_rows(view.cuts, n, width)
        above, marked = n < survivors, n == view.marked
        look = "cursor" if n == cursor else "strong" if marked else "" if above else "muted"
        pointed = POINTER if marked or n == cursor else "  "
        rows.append(
            [
                Span(pointed, "cursor" if n == cursor else "strong"),
                Span(str(n + 1).rjust(ranks) + " " * GAP, "dim"),
                Span(fit(name, name_width), look),
                Span(" " * GAP + _bar(value, bar_width, above), "measured" if above else "muted"),
                Span(" " * GAP + share.rjust(numbers), look),
            ]
        )
    rows += _cut_rows(view.cuts, listed, width)
    if rest:
        label = fit(rest[0], min(max(name_width, cell_len(rest[0])), name_width + GAP + bar_width))
        bar = _bar(view.rest, bar_width, survivors > listed) if cell_len(label) == name_width else ""
        space = " " * (name_width + GAP + bar_width - cell_len(label) - cell_len(bar))
        rows.append([Span(" " * (len(POINTER) + ranks - 1) + "…" + " " * GAP + label, "dim")])
        rows[-1].append(Span(space + bar + " " * GAP + percent(view.rest).rjust(numbers), "muted"))
    rows += [row for cut in view.cuts if cut.kept > listed for row in _far_cut(cut, view.total, width)]
    return titled(view.title, _said(view, width), rows)


def kept_by_all(view: RankedList) -> int:
    """How many candidates no filter cuts away."""
    return min((cut.kept for cut in view.cuts), default=max(view.total, len(view.labels)))


def ranked_facts(view: RankedList, n: int) -> str:
    """Everything about one candidate, for the line that describes the cursor's place."""
    above = percent(min(math.fsum(value for value in view.values[: n + 1] if math.isfinite(value)), 1.0))
    cut_by = [visible(cut.name) for cut in view.cuts if n >= cut.kept]
    fate = f"cut by {', '.join(cut_by)}" if cut_by else "kept" if view.cuts else ""
    summed = f"{above} with all above it" if n else ""
    parts = (f"rank {n + 1}", named(view.labels[n]), percent(view.values[n]), summed, fate)
    return " · ".join(filter(None, parts))


def ranked_line(view: RankedList, n: int) -> int:
    """In which row of the picture candidate `n` stands."""
    return 1 + n + len({max(cut.kept, 0) for cut in view.cuts if cut.kept <= n})


def _said(view: RankedList, width: int) -> str:
    """How many there are, and where there is room, what the bars' scale is."""
    total = plural(max(view.total, len(view.labels)), "candidate")
    whole = f"{total}, bars 0 to 100 %"
    return whole if cell_len(visible(view.title)) + GAP + len(whole) <= width else total


def _bar(share: float, width: int, above: bool) -> str:
    """A bar that ends where its share does; what is not nothing shows."""
    if not math.isfinite(share) or share <= 0:
        return " " * width
    eighths = round(min(share, 1.0) * width * 8)
    if not above:
        return (CUT_AWAY * round(eighths / 8) or "▏")[:width].ljust(width)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip() or "▏")[:width].ljust(width)


def _cut_rows(cuts: Sequence[Cut], at: int, width: int) -> list[Row]:
    """The line before candidate `at`, with the names of the filters that cut here."""
    names = [visible(cut.name) for cut in cuts if max(cut.kept, 0) == at]
    if not names:
        return []
    text = fit(f"── {' · '.join(names)} ", min(cell_len(" · ".join(names)) + 4, width))
    said = f" keeps {count(at)} ──"
    dashes = width - cell_len(text) - len(said)
    if dashes < 2:
        return [[Span(text + "─" * (width - cell_len(text)), "strong")]]
    return [[Span(text, "strong"), Span("─" * dashes + said, "dim")]]


def _far_cut(cut: Cut, total: int, width: int) -> list[Row]:
    """A filter that cuts below what is listed, or nothing."""
    said = "keeps all" if total and cut.kept >= total else f"keeps {count(cut.kept)}, below this list"
    return [[Span(fit(f"── {visible(cut.name)} {said} ──", width).rstrip(), "dim")]]
