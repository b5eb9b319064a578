"""Who wrote what around a model, as rows of spans, token by token, with places so that a cursor can walk them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from unicodedata import combining

from rich.cells import cell_len

from llm_holes.engine.frames import Token, Transcript, Turn
from llm_holes.engine.numbers import plural
from llm_holes.tui.draw.map import Place, chip
from llm_holes.tui.draw.sanitize import from_bytes, visible
from llm_holes.tui.draw.spans import Row, Span, fit, wrapped

LABELS = {"model": "◆ model wrote", "software": "○ software did"}
GUTTERS = {"model": "┃ ", "software": "│ "}
ROLES = {"model": "measured", "software": "pick"}
GUTTER = 2
FOLDED = " …"


class Line(NamedTuple):
    """One row: the head of a turn, a line of text, or the tokens `first` to `end`, counted over all turns."""

    turn: int
    text: str | None = None
    first: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    lines: tuple[Line, ...]
    tokens: tuple[Token, ...]
    turns: tuple[int, ...]
    places: tuple[Place, ...]


def layout_of(view: Transcript, width: int, marks: bool, cursor: int | None = None) -> Layout:
    """Lines of at most `width` cells; with `marks` a stroke between tokens, where no colour tells them apart. Folded
    turns stay so, unless the cursor is in them or there is none: then all of it is shown."""
    lines: list[Line] = []
    places: list[Place] = []
    for index, turn in enumerate(view.turns):
        lines.append(Line(index))
        inside = cursor is None or len(places) <= cursor < len(places) + len(turn.tokens)
        if turn.folded and turn.tokens and not inside:
            places += [Place(len(lines) - 1, GUTTER, 0)] * len(turn.tokens)
        elif turn.tokens:
            _lay(turn, index, width - GUTTER, marks, lines, places)
        elif turn.text:
            lines += [Line(index, text) for text in wrapped(turn.text, width - GUTTER)]
    tokens = tuple(token for turn in view.turns for token in turn.tokens)
    turns = tuple(index for index, turn in enumerate(view.turns) for _ in turn.tokens)
    return Layout(tuple(lines), tokens, turns, tuple(places))


def _lay(turn: Turn, index: int, room: int, marks: bool, lines: list[Line], places: list[Place]) -> None:
    x, first, fresh = 0, len(places), True
    for token in turn.tokens:
        size = min(cell_len(literal(token)), max(room, 1))
        if not fresh and x + size > room:
            lines.append(Line(index, None, first, len(places)))
            x, first = 0, len(places)
        places.append(Place(len(lines), GUTTER + x, size))
        x += size + marks
        fresh = False
        if b"\n" in token.data:
            lines.append(Line(index, None, first, len(places)))
            x, first, fresh = 0, len(places), True
    if first < len(places):
        lines.append(Line(index, None, first, len(places)))


def start_of(view: Transcript) -> int:
    """Where a reader begins: at the first token that the model wrote, else at the last one there is."""
    count = 0
    for turn in view.turns:
        if turn.who == "model" and turn.tokens:
            return count
        count += len(turn.tokens)
    return max(count - 1, 0)


def literal(token: Token) -> str:
    """The token as text in one line, its spaces as they are."""
    text = " ".join(map(from_bytes, token.data.split(b" "))) or "∅"
    return "◌" + text if combining(text[0]) else text


def transcript_row(view: Transcript, layout: Layout, y: int, cursor: int | None, marks: bool) -> Row:
    line = layout.lines[y]
    turn = view.turns[line.turn]
    role = ROLES[turn.who]
    if line.text is not None:
        return [Span(GUTTERS[turn.who], role), Span(line.text)]
    if line.first == line.end:
        count = len(turn.tokens)
        size = f"  {plural(count, 'token')}" if count else ""
        size += FOLDED if any(place.line == y and not place.width for place in layout.places) else ""
        return [Span(LABELS[turn.who], role), Span("  " + visible(turn.what)), Span(size, "dim")]
    row = [Span(GUTTERS[turn.who], role)]
    for index in range(line.first, line.end):
        shown = fit(literal(layout.tokens[index]), layout.places[index].width)
        row.append(Span(shown, "cursor" if index == cursor else f"chip{index % 2}"))
        if marks and index + 1 < line.end:
            row.append(Span("|", "dim"))
    return row


def transcript_rows(view: Transcript, width: int) -> list[Row]:
    """All of it, without a cursor and without relying on colour."""
    layout = layout_of(view, width, marks=True)
    rows = [transcript_row(view, layout, y, None, marks=True) for y in range(len(layout.lines))]
    return [[Span(visible(view.title), "title")], *rows]


def place_facts(view: Transcript, layout: Layout, index: int) -> str:
    """Everything about one token, for the line that describes the cursor's place."""
    token, turn = layout.tokens[index], view.turns[layout.turns[index]]
    facts = [f"{index}", LABELS[turn.who], chip(token), f"id {token.id}", "bytes " + token.data[:16].hex(" ")]
    return "  ".join([*facts, visible(token.note)]).rstrip()
