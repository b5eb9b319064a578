"""What is sent to a model, turn by turn, to one scale of tokens: the newest at the right, and the window that cuts off
the oldest parts, as rows of spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rich.cells import cell_len

from llm_holes.engine.frames import Context, Contexts
from llm_holes.engine.numbers import count, plural
from llm_holes.tui.draw.colours import HUES
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import GAP, POINTER, Row, Span, fit, named, titled

KEPT, CUT, EDGE = "▆", "╌", "│"
THICKEST = 3
"""Rows of a bar where there is room."""
FAR = 3
"""A window so many times as long as what is sent would leave no room for it: its edge is out of the picture."""
NAME = 16
ROOMY = 60
"""From this width on there is room to say beside each bar how much is cut off."""
FACTS = 74
"""Columns of the line that describes the cursor's place."""
STEPS = (1, 2, 5)
NEWEST = ", newest at the right"

Cursor = tuple[int, int] | None
"""(context, part), or None when the cursor is elsewhere."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """`names` and `totals` are columns beside the bars, `bar` those of the bars without the window's edge, which is
    left of column `edge` (None: not drawn). `scale` is columns for one token."""

    names: int
    bar: int
    totals: int
    said: bool
    """Whether it is said beside a bar how much is cut off."""
    edge: int | None
    scale: float

    def column(self, back: int) -> int:
        """The column that is `back` tokens from the newest."""
        return self.bar - round(back * self.scale)


def length(context: Context) -> int:
    return sum(max(part.tokens, 0) for part in context.parts)


def sizes_of(view: Contexts, width: int) -> Sizes:
    longest = max((length(context) for context in view.contexts), default=0)
    windowed = 0 < view.window <= FAR * longest
    said = width >= ROOMY
    totals = max((cell_len(_total(view, context, said)) for context in view.contexts), default=0)
    room = width - totals - 2 * GAP - len(POINTER) - windowed
    names = min(max((cell_len(named(c.name)) for c in view.contexts), default=0), NAME, max(room // 2, 1))
    bar = max(room - names, 1)
    scale = bar / max(longest, view.window if windowed else 0, 1)
    edge = bar - round(view.window * scale) if windowed else None
    return Sizes(names, bar, totals, said, edge, scale)


def _total(view: Contexts, context: Context, said: bool) -> str:
    tokens = length(context)
    out = tokens - view.window if view.window else 0
    return f"{count(tokens)}, {count(out)} cut off" if said and out > 0 else count(tokens)


def letters(view: Contexts) -> dict[str, str]:
    """One capital letter or digit for each group, in the order in which groups appear."""
    found: dict[str, str] = {}
    for group in dict.fromkeys(part.group for context in view.contexts for part in context.parts):
        own = [c.upper() for c in group if c.isalnum() and len(c.upper()) == 1 and cell_len(c.upper()) == 1]
        free = [c for c in (*own, *map(chr, range(ord("A"), ord("Z") + 1))) if c not in found.values()]
        found[group] = free[0] if free else "?"
    return found


def thickness(view: Contexts, lines: int) -> int:
    """How many rows each bar gets where there are `lines` for all of them."""
    return min(max(lines // max(len(view.contexts), 1), 1), THICKEST)


def contexts_rows(view: Contexts, width: int, cursor: Cursor = None, lines: int = 0) -> list[Row]:
    """The whole view: a bar for each context, the scale, the groups; the part at the cursor is in brackets. The bars
    share `lines` rows, and get one each at least."""
    if not view.contexts:
        return titled(view.title, "", [[Span("nothing was sent yet", "dim")]])
    sizes = sizes_of(view, width)
    groups = letters(view)
    thick = thickness(view, lines)
    bars = [row for n in range(len(view.contexts)) for row in _bar_rows(view, n, sizes, groups, cursor, thick)]
    head = [_edge_row(view, sizes)] if sizes.edge is not None else []
    return titled(view.title, "", [*head, *bars, _scale_row(sizes), *_legend(view, groups, width)])


def head_rows(view: Contexts, width: int) -> int:
    """Rows above the first bar."""
    return 1 + (sizes_of(view, width).edge is not None)


def _margin(sizes: Sizes) -> int:
    return len(POINTER) + sizes.names + GAP


def _edge_row(view: Contexts, sizes: Sizes) -> Row:
    """The window's name over its edge."""
    assert sizes.edge is not None
    room, before = sizes.bar - sizes.edge, _margin(sizes) + sizes.edge
    short = f"window {count(view.window)}"
    for text in (f"window of {plural(view.window, 'token')}", short):
        if cell_len(text) + 3 <= room:
            return [Span(" " * before), Span(f"╭{'─' * (room - cell_len(text) - 1)} {text}", "pick")]
    text = fit(short, min(cell_len(short), before - 1))
    return [Span(" " * (before - cell_len(text) - 1)), Span(f"{text} ╭", "pick")]


def _bar_rows(view: Contexts, n: int, sizes: Sizes, groups: dict[str, str], cursor: Cursor, thick: int) -> list[Row]:
    """The first row has the name, the letters and the total; those below it are the same bar again."""
    context, here = view.contexts[n], cursor is not None and cursor[0] == n
    row = [
        Span(POINTER if here else "  ", "strong"),
        Span(fit(named(context.name), sizes.names), "strong" if here else ""),
    ]
    cells = _cells(context, sizes, groups)
    below = [Span(_below(cell.text), cell.role) for cell in cells]
    if here and cursor is not None:
        _mark(cells, *part_columns(context, cursor[1], sizes))
    if sizes.edge is not None:
        cells.insert(sizes.edge, Span(EDGE, "pick"))
        below.insert(sizes.edge, Span(EDGE, "pick"))
    total = fit(_total(view, context, sizes.said), sizes.totals, right=True)
    first = [*row, Span(" " * GAP), *_merged(cells), Span("  " + total, "measured")]
    return [first, *([Span(" " * _margin(sizes)), *_merged(below)] for _ in range(thick - 1))]


def part_columns(context: Context, n: int, sizes: Sizes) -> tuple[int, int]:
    """Where a part's cells begin and end, without the window's edge; a part shorter than a cell may have none."""
    ends = list(accumulate(max(part.tokens, 0) for part in context.parts))
    total = ends[-1] if ends else 0
    return sizes.column(total - (ends[n - 1] if n else 0)), sizes.column(total - ends[n])


def _cells(context: Context, sizes: Sizes, groups: dict[str, str]) -> list[Span]:
    """One span a cell: a part begins with its group's letter, which is small where the window cuts it off."""
    cells = [Span(" ")] * sizes.bar
    edge = sizes.edge or 0
    hues = list(groups)
    for n, part in enumerate(context.parts):
        hue = HUES[hues.index(part.group) % len(HUES)]
        start, end = part_columns(context, n, sizes)
        for x in range(start, end):
            letter = groups[part.group] if x == start else ""
            cells[x] = Span(letter.lower() or CUT, "dim") if x < edge else Span(letter or KEPT, hue)
    return cells


def _below(text: str) -> str:
    """What is under a cell of a bar's first row: nothing under nothing and under what is cut off."""
    return " " if text in {" ", CUT} or text.islower() else "█"


def _mark(cells: list[Span], start: int, end: int) -> None:
    start = min(start, len(cells) - 1)
    if end - start < 2:
        cells[start] = Span("+", "cursor")
        return
    for x in range(start, end):
        cells[x] = Span("[" if x == start else "]" if x == end - 1 else cells[x].text, "cursor")


def _merged(cells: Sequence[Span]) -> Row:
    row: Row = []
    for cell in cells:
        if row and row[-1].role == cell.role:
            row[-1] = Span(row[-1].text + cell.text, cell.role)
        else:
            row.append(cell)
    return row


def _scale_row(sizes: Sizes) -> Row:
    """How long a round number of tokens is, up to a third of the bars."""
    step, power = 1, 1
    for n in range(40):
        power = 10 ** (n // len(STEPS)) * STEPS[n % len(STEPS)]
        if power * sizes.scale > sizes.bar / 3:
            break
        step = power
    cells = round(step * sizes.scale)
    line = "├" + "─" * (cells - 2) + "┤" if cells >= 2 else "│"
    room = _margin(sizes) + (sizes.edge is not None) + sizes.bar
    text = f"{line} {plural(step, 'token')}"
    if cell_len(text + NEWEST) <= room:
        text += NEWEST
    return [Span(" " * max(room - cell_len(text), 0) + fit(text, min(cell_len(text), room)), "dim")]


def _legend(view: Contexts, groups: dict[str, str], width: int) -> list[Row]:
    """Which letter is which group, each in its hue, in as many rows as they need; then what is cut off."""
    entries = [
        Span(fit(text, min(cell_len(text), width)), HUES[n % len(HUES)])
        for n, (group, letter) in enumerate(groups.items())
        for text in [f"{letter}{KEPT} {visible(group)}" if group else f"{letter}{KEPT}"]
    ]
    longest = max(map(length, view.contexts))
    if view.window and longest > view.window:
        text = f"{next(iter(groups.values())).lower()}{CUT} cut off by the window"
        entries.append(Span(fit(text, min(cell_len(text), width)), "dim"))
    elif view.window > FAR * longest:
        text = f"the window of {plural(view.window, 'token')} ends far to the left"
        entries.append(Span(fit(text, min(cell_len(text), width)), "dim"))
    rows: list[Row] = [[]]
    used = 0
    for entry in entries:
        size = cell_len(entry.text) + 3
        if rows[-1] and used + size - 3 > width:
            rows.append([])
            used = 0
        rows[-1] += [Span("   "), entry] if rows[-1] else [entry]
        used += size
    return rows


def part_at(view: Contexts, context: int, column: float, width: int) -> int:
    """The part of a context whose middle is nearest to a column of the whole row."""
    sizes = sizes_of(view, width)
    parts = range(len(view.contexts[context].parts))
    return min(parts, key=lambda n: abs(part_middle(view, (context, n), sizes) - column), default=0)


def part_middle(view: Contexts, place: tuple[int, int], sizes: Sizes) -> float:
    """The column of the whole row where a part has its middle."""
    start, end = part_columns(view.contexts[place[0]], place[1], sizes)
    middle = (start + end - 1) / 2
    return _margin(sizes) + middle + (sizes.edge is not None and middle >= sizes.edge)


def part_facts(view: Contexts, cursor: tuple[int, int]) -> str:
    """Name, length and beginning of a part, for the line that describes the cursor's place."""
    context = view.contexts[cursor[0]]
    if not context.parts:
        return visible(f"{context.name}: empty")
    part = context.parts[cursor[1]]
    facts = (
        f"{named(context.name)} · {named(part.name)}: {plural(part.tokens, 'token')}{_lost(view, context, cursor[1])}"
    )
    room = FACTS - cell_len(facts) - 5
    text = named(part.text)
    if not text or room < 8:
        return facts
    return f"{facts} · “{text if cell_len(text) <= room else fit(text, room)}”"


def _lost(view: Contexts, context: Context, n: int) -> str:
    after = sum(max(part.tokens, 0) for part in context.parts[n:])
    lost = min(max(after - view.window, 0), context.parts[n].tokens) if view.window else 0
    return "" if not lost else ", all cut off" if lost == context.parts[n].tokens else f", {count(lost)} cut off"
