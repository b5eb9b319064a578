"""A picture to pass on: one view with its caption, the model, and the command that repeats it. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len

from llm_holes.engine.frames import View
from llm_holes.tui.draw.as_svg import rows_svg
from llm_holes.tui.draw.as_text import view_rows
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, plain, wrapped

COLUMNS = 100
"""How wide a card is: it outlives the terminal it was made in."""
INDENT, MARGIN = "    ", "  "


@dataclass(frozen=True, slots=True)
class Card:
    """`title` is the lesson's; `command` has the program and each option as a shell reads them. Where the caption is
    empty the card has none."""

    title: str
    view: View
    caption: str
    model: str
    command: tuple[str, ...]


def card_svg(card: Card, width: int = COLUMNS) -> str:
    """The card as an SVG that needs nothing from elsewhere; the picture is `width` characters wide, and the description
    is the command in one piece."""
    rows = [[Span(MARGIN), *row] for row in _rows(card, width)]
    return rows_svg([[], *rows, []], width + 2 * len(MARGIN), " ".join(card.command))


def card_text(card: Card, width: int = COLUMNS) -> str:
    """The card as plain lines, the command in one of them, so that it can be copied again."""
    rows = [plain(row).rstrip() for row in (*_picture(card, width), *_said(card, width))]
    return "\n".join([*rows, " ".join(card.command)]) + "\n"


def _rows(card: Card, width: int) -> list[Row]:
    return [*_picture(card, width), *_said(card, width), *([Span(line, "strong")] for line in _command(card, width))]


def _picture(card: Card, width: int) -> list[Row]:
    return [[Span(visible(card.title), "strong")], [], *view_rows(card.view, width), []]


def _said(card: Card, width: int) -> Iterator[Row]:
    if card.caption:
        yield from ([Span(line, "measured")] for line in wrapped(card.caption, width))
        yield []
    yield [Span(visible(card.model), "dim")]


def _command(card: Card, width: int) -> Iterator[str]:
    """The command in lines that a shell reads as one; an option longer than a line is cut for the eye."""
    line = ""
    for part in card.command:
        if line and cell_len(line) + 1 + cell_len(part) > width - 2:
            yield from _lines(line + " \\", width)
            line = INDENT + part
        else:
            line = f"{line} {part}" if line else part
    yield from _lines(line, width)


def _lines(line: str, width: int) -> list[str]:
    return [line] if cell_len(line) <= width else wrapped(line, width)
