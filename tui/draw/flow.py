"""The parts a text passes through as rows of spans: what each hands on to the next, and the way back of a loop."""

from __future__ import annotations

from typing import NamedTuple

from rich.cells import cell_len

from llm_holes.engine.frames import Flow, Stage
from llm_holes.engine.numbers import count, duration
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import POINTER, Row, Span, fit, plain, titled, wrapped

MARKS = {"waiting": ("○", "dim"), "running": ("◐", "strong"), "done": ("●", "measured")}
WIRES = {"waiting": "┊", "running": "┊", "done": "│"}
"""The way from a part to the next one: broken until something came along it."""
AT_WORK = "at work …"
WIDEST = 96
"""On wider pages the loop stays near what it goes round."""
INDENT = 6
LOOP = 6
"""Columns kept for the way back where parts have one row."""
EDGE = 3
"""Columns of the way back at the right edge, with the space before it."""


class Sizes(NamedTuple):
    """Columns of all, of the names, of the times, and of what is handed on."""

    width: int
    name: int
    time: int
    room: int


def flow_rows(view: Flow, width: int, cursor: int | None = None, room: int = 0) -> list[Row]:
    """The whole flow from top to bottom; the part at the cursor has a pointer. With a `room` of so many rows that are
    too few, each part has one row."""
    rows = [row for rows in stage_rows(view, width, cursor, room) for row in rows]
    return titled(view.title, "", rows or [[Span("no parts yet", "dim")]])


def stage_rows(view: Flow, width: int, cursor: int | None = None, room: int = 0) -> list[list[Row]]:
    """For each part its rows: its state, name and time, then what it hands on, on the way to the next."""
    sizes = _sizes(view, width)
    last = len(view.stages) - 1
    found = [_stage(stage, n == cursor, n == last, sizes) for n, stage in enumerate(view.stages)]
    if 0 < room <= sum(map(len, found)):
        found = [[_beside(stage, n == cursor, sizes, bool(view.loop))] for n, stage in enumerate(view.stages)]
    if view.loop is not None and 0 <= view.loop[0] <= view.loop[1] <= last:
        _draw_loop(view, found, sizes.width)
    return found


def _sizes(view: Flow, width: int) -> Sizes:
    width = max(min(width, WIDEST), INDENT + EDGE + 8)
    names = max((cell_len(visible(stage.name)) for stage in view.stages), default=0)
    times = max((len(_time(stage)) for stage in view.stages), default=0)
    name = min(names, max(width - INDENT - EDGE - times - 6, 4))
    return Sizes(width, name, times, width - INDENT - (EDGE if view.loop else 0))


def _time(stage: Stage) -> str:
    return "" if stage.ms is None else duration(stage.ms)


def _head(stage: Stage, here: bool, sizes: Sizes) -> Row:
    mark, role = MARKS[stage.state]
    look = "cursor" if here else "dim" if stage.state == "waiting" else "strong"
    name = fit(visible(stage.name), min(sizes.name, cell_len(visible(stage.name))))
    head = [Span(POINTER if here else "  ", "strong"), Span(mark + " ", role), Span(name, look)]
    if time := _time(stage):
        head.append(Span(" " * (sizes.name - cell_len(name)) + "  " + time.rjust(sizes.time), "measured"))
    return head


def _said(stage: Stage) -> str:
    return visible(stage.produced) or (AT_WORK if stage.state == "running" else "")


def _beside(stage: Stage, here: bool, sizes: Sizes, loop: bool) -> Row:
    """A part in one row, what it hands on beside its name as far as there is room."""
    head = _head(stage, here, sizes)
    before = len(POINTER) + 2 + sizes.name + (2 + sizes.time if sizes.time else 0) + 2
    room = max(sizes.width - before - (LOOP if loop else 0), 0)
    said = fit(_said(stage), min(cell_len(_said(stage)), room))
    return [*head, Span(" " * max(before - cell_len(plain(head)), 0) + said, "dim" * (stage.state == "waiting"))]


def _stage(stage: Stage, here: bool, last: bool, sizes: Sizes) -> list[Row]:
    head, said = _head(stage, here, sizes), _said(stage)
    if last:
        return _ended(head, said, sizes)
    role = "measured-soft" if stage.state == "done" else "dim"
    wire = Span("  " + WIRES[stage.state].ljust(INDENT - 2), role)
    return [head, *([wire, Span(line)] for line in wrapped(said, sizes.room))]


def _ended(head: Row, said: str, sizes: Sizes) -> list[Row]:
    """The last part hands nothing on: what it says stands beside it, or below where there is no room."""
    gap = max(INDENT + sizes.name - cell_len(plain(head)), 2)
    if not said:
        return [head]
    if cell_len(plain(head)) + gap + cell_len(said) <= INDENT + sizes.room:
        return [[*head, Span(" " * gap + said)]]
    return [head, *([Span(" " * INDENT + line)] for line in wrapped(said, sizes.room))]


def _draw_loop(view: Flow, found: list[list[Row]], width: int) -> None:
    """Adds the way back from the last part of the loop to its first, along the right edge; broken until it is taken."""
    assert view.loop is not None
    first, last = view.loop
    line, down, role = ("─", "│", "measured") if view.turns else ("╌", "┊", "dim")
    ended = all(stage.state != "running" for stage in view.stages)
    times = f" × {count(view.turns)}{'' if ended else ' so far'} " if view.turns else ""
    if first == last:
        row = found[first][0]
        row.append(Span(fit(f" ↺{times.rstrip()}", max(width - cell_len(plain(row)), 0)), role))
        return
    _run_to_edge(found[first][0], " ◂", "", line, "╮", width, role)
    for rows in (found[first][1:], *found[first + 1 : last]):
        for row in rows:
            row.append(Span(" " * (width - 1 - cell_len(plain(row))) + down, role))
    _run_to_edge(found[last][0], " ", times, line, "╯", width, role)


def _run_to_edge(row: Row, start: str, label: str, line: str, corner: str, width: int, role: str) -> None:
    room = width - cell_len(plain(row)) - len(start) - 1
    if len(label) + 3 > room:
        label = ""
    after = min(3, max(room - len(label), 0)) if label else 0
    row.append(Span(start + line * (room - len(label) - after) + label + line * after + corner, role))


def stage_facts(view: Flow, n: int) -> str:
    """Everything about one part, for the line that describes the cursor's place."""
    stage = view.stages[n]
    facts = [f"{stage.name}: {stage.produced or stage.state}", _time(stage)]
    if view.loop is not None and view.loop[1] == n and 0 <= view.loop[0] <= n:
        facts.append(f"then back to {view.stages[view.loop[0]].name}")
    facts.append(f"enter opens {stage.hole}" if stage.hole else "")
    return visible(" · ".join(filter(None, facts)))
