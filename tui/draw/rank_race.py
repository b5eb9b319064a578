"""The ranks of candidates step by step on a logarithmic axis, as rows of spans. A rank holds for its whole step and
changes between two columns: no line passes through ranks that nobody had."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len

from llm_holes.engine.frames import RankRace
from llm_holes.engine.numbers import count, plural
from llm_holes.tui.draw.colours import HUES
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fit, named, titled, wrapped

LINES = 11
WIDEST = 10
"""Columns of a step."""
NAME_WIDTH = 18
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
STROKES = "─╌┈"
"""Neighbouring runners differ in their strokes where steps are too narrow for letters."""
MOST = 26
"""Runners drawn."""
Cursor = tuple[int, int] | None
"""(runner, step), or None when the cursor is elsewhere."""


@dataclass(frozen=True, slots=True)
class Track:
    """`steps` are those that each of the columns stands for, a column being `size` cells wide."""

    margin: int
    size: int
    steps: tuple[range, ...]
    last: int
    names: int
    lines: int

    @property
    def room(self) -> int:
        return self.size * len(self.steps)

    def line(self, rank: int) -> int:
        """The line of a rank, 0 on top."""
        share = math.log(min(max(rank, 1), self.last)) / math.log(self.last) if self.last > 1 else 0.0
        return round(share * (self.lines - 1))

    def middle(self, column: int) -> int:
        return column * self.size + self.size // 2


def track_of(view: RankRace, width: int, lines: int = LINES) -> Track | None:
    """How the race fits; None if nobody has run."""
    runners = view.runners[:MOST]
    steps = max((len(runner.ranks) for runner in runners), default=0)
    if not steps:
        return None
    last = max(view.last, 2, *(rank for runner in runners for rank in runner.ranks))
    margin = min(len(count(last)) + 1, max(width // 3, 2))
    longest = max(cell_len(_ending(view, n)) for n in range(len(runners)))
    names = min(longest, NAME_WIDTH + len(count(last)), max(width // 3, 3))
    room = max(width - margin - names - 2, 2)
    shown = min(steps, room)
    columns = tuple(range(n * steps // shown, (n + 1) * steps // shown) for n in range(shown))
    return Track(margin, min(max(room // steps, 1), WIDEST), columns, last, names, lines)


def rank_race_rows(view: RankRace, width: int, lines: int = LINES, cursor: Cursor = None) -> list[Row]:
    """The race from rank 1 on top down, the names where the lines end, the steps, and the largest leap."""
    track = track_of(view, width, lines)
    if track is None:
        return titled(view.title, "", [[Span("no steps yet"[:width], "dim")]])
    grid = _field(view, track)
    for runner in reversed(range(min(len(view.runners), MOST))):
        _run(grid, track, runner, view.runners[runner].ranks)
    _mark_cursor(grid, view, track, cursor)
    ticks = {track.line(rank): count(rank) for rank in _ticks(track.last)}
    names = _names(view, track)
    rows: list[Row] = []
    for y in range(lines):
        head = Span(fit(ticks.get(y, ""), track.margin - 1, right=True) + ("┤" if y in ticks else "│"), "dim")
        n = names.get(y)
        end = [] if n is None else [Span(" "), Span(fit(_ending(view, n), track.names), HUES[n % len(HUES)])]
        rows.append([head, *grid[y], *end])
    rows += [_axis(view, track, cursor), _steps(view, track, cursor)]
    return titled(view.title, "rank, 1 is the likeliest", [*rows, *_legend(view, track, width)])


def _ticks(last: int) -> list[int]:
    return [last, *(10**n for n in range(math.floor(math.log10(last)) + 1))]


def _ending(view: RankRace, n: int) -> str:
    """What stands at the end of a line: its letter, its name, its rank."""
    runner = view.runners[n]
    return f"{LETTERS[n]} {named(runner.name)}" + (f" {count(runner.ranks[-1])}" if runner.ranks else "")


def _field(view: RankRace, track: Track) -> list[Row]:
    """Nothing but the marked steps' columns."""
    stops = {track.middle(n) for n, steps in enumerate(track.steps) if any(stop in steps for stop in view.stops)}
    return [[Span("┊" if x in stops else " ", "dim") for x in range(track.room)] for _ in range(track.lines)]


def _best(ranks: Sequence[int], steps: range) -> int | None:
    """The best rank in these steps."""
    return min((ranks[step] for step in steps if step < len(ranks)), default=None)


def _run(grid: list[Row], track: Track, n: int, ranks: Sequence[int]) -> None:
    role, before = HUES[n % len(HUES)], None
    for column, steps in enumerate(track.steps):
        rank = _best(ranks, steps)
        if rank is None:
            return
        y, x = track.line(rank), column * track.size
        for at in range(x, x + track.size):
            grid[y][at] = Span(STROKES[n % len(STROKES)], role)
        if before is not None and before != y:
            _leap(grid, x, before, y, role)
        if before != y or column % max(4 // track.size, 1) == 0:
            at = track.middle(column)
            if track.size > 1 or column == 0:
                grid[y][at] = Span(LETTERS[n], role)
        before = y


def _leap(grid: list[Row], x: int, old: int, new: int, role: str) -> None:
    """Straight up or down between two steps."""
    up = new < old
    for y in range(min(old, new) + 1, max(old, new)):
        grid[y][x] = Span("│", role)
    grid[old][x] = Span("╯" if up else "╮", role)
    grid[new][x] = Span("╭" if up else "╰", role)


def _mark_cursor(grid: list[Row], view: RankRace, track: Track, cursor: Cursor) -> None:
    column = _column(track, cursor)
    if cursor is None or column is None or cursor[0] >= len(view.runners):
        return
    rank = _best(view.runners[cursor[0]].ranks, track.steps[column])
    if rank is not None:
        grid[track.line(rank)][track.middle(column)] = Span(LETTERS[cursor[0] % MOST], "cursor")


def _column(track: Track, cursor: Cursor) -> int | None:
    return next((n for n, steps in enumerate(track.steps) if cursor is not None and cursor[1] in steps), None)


def _names(view: RankRace, track: Track) -> dict[int, int]:
    """For each line the runner named at its end: the nearest free line to where it ended, the best first."""
    found: dict[int, int] = {}
    runners = [n for n in range(min(len(view.runners), MOST)) if view.runners[n].ranks]
    for n in sorted(runners, key=lambda n: view.runners[n].ranks[-1])[: track.lines]:
        line = track.line(view.runners[n].ranks[-1])
        found[min((y for y in range(track.lines) if y not in found), key=lambda y: (abs(y - line), -y))] = n
    return found


def _axis(view: RankRace, track: Track, cursor: Cursor) -> Row:
    """The axis, with ▲ under marked steps and ◆ under the cursor's."""
    marks, at = ["─"] * track.room, _column(track, cursor)
    for n, steps in enumerate(track.steps):
        if any(stop in steps for stop in view.stops):
            marks[track.middle(n)] = "▲"
    if at is not None:
        marks[track.middle(at)] = "◆"
    return [Span(" " * (track.margin - 1) + "└" + "".join(marks), "dim")]


def _steps(view: RankRace, track: Track, cursor: Cursor) -> Row:
    """The steps' names under their columns: first the cursor's, then marked ones, the last, then all that fit."""
    stops = [n for n, steps in enumerate(track.steps) if any(stop in steps for stop in view.stops)]
    at = _column(track, cursor)
    order = dict.fromkeys([*([at] if at is not None else []), len(track.steps) - 1, *stops, *range(len(track.steps))])
    labels: dict[int, Span] = {}
    for n in order:
        step = cursor[1] if n == at and cursor is not None else track.steps[n][-1]
        text = named(view.steps[step]) if step < len(view.steps) else ""
        size = min(cell_len(text), 10)
        x = max(min(track.middle(n) - size // 2, track.room - size), 0)
        clear = all(x + size < other or other + cell_len(span.text) < x for other, span in labels.items())
        if text and size <= track.room and clear:
            labels[x] = Span(fit(text, size), "strong" if n == at or n in stops else "dim")
    row, used = [Span(" " * track.margin)], 0
    for x, span in sorted(labels.items()):
        row += [Span(" " * (x - used)), span]
        used = x + cell_len(span.text)
    return row


def _legend(view: RankRace, track: Track, width: int) -> list[Row]:
    lines = [(_largest(view), "measured")]
    if view.stops:
        lines.append((f"▲ {visible(view.stop_label)}", "dim"))
    if (most := max(map(len, track.steps))) > 1:
        lines.append((f"a column is up to {plural(most, 'step')}, drawn at their best rank", "dim"))
    return [[Span(line, role)] for text, role in lines if text for line in wrapped(text, width)]


def _largest(view: RankRace) -> str:
    """The largest leap towards rank 1 of the first runner, in words."""
    if not view.runners:
        return ""
    runner = view.runners[0]
    leaps = [(old / max(new, 1), n + 1) for n, (old, new) in enumerate(pairwise(runner.ranks)) if new < old]
    if not leaps:
        return ""
    _, step = max(leaps)
    at = f", at {named(view.steps[step])}" if step < len(view.steps) else ""
    old, new = runner.ranks[step - 1], runner.ranks[step]
    return f"A {named(runner.name)}: from rank {count(old)} to rank {count(new)} in one step{at}"


def place_facts(view: RankRace, n: int, step: int) -> str:
    """Who, at which step, at which rank and from where, for the line that describes the cursor's place."""
    runner = view.runners[n]
    name = f": {named(view.steps[step])}" if step < len(view.steps) else ""
    where = f"{LETTERS[n % MOST]} {named(runner.name)} · step {step + 1}{name}"
    if step >= len(runner.ranks):
        return f"{where} · not in the race"
    before = f" · {count(runner.ranks[step - 1])} before" if step else ""
    mark = f" · {visible(view.stop_label)}" if step in view.stops else ""
    return f"{where} · rank {count(runner.ranks[step])}{before}{mark}"
