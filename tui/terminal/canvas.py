"""What the terminal shows, what it should show, and the few bytes that lead from the one to the other.

Textual paints regions: whole widgets, whether their cells changed or not, with every style spelled out. What it writes
is read here into cells; only the cells that differ from those last sent are sent. Paints that could not be sent yet
so become one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rich.cells import get_character_cell_size

from llm_holes.tui.terminal.pen import BLANK, PLAIN, Pen, blank, change

TEXT = r"[^\x00-\x1f\x7f]"
PIECE = re.compile(rf"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m({TEXT}*)(?:\x1b\[0m)?|({TEXT}+)|\n")
"""Moves, text in a style of its own, plain text. A newline is always followed by a move."""
PAINT = re.compile(rf"(?>\x1b\[\d+;\d+H|\x1b\[[\d;]*m|{TEXT}+|\n)++")
SIMPLE = re.compile(
    "[ -~\u00a1-\u00ac\u00ae-\u02af\u0370-\u0377\u0391-\u03ff\u0400-\u0482\u048a-\u052f"
    "\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2200-\u22ff\u2500-\u25fc\u25ff\u2800-\u28ff\u2400-\u2426]*"
)
"""Characters every terminal draws one cell wide."""
UNKNOWN = "\0"
GAP = 6
"""So many unchanged cells cost less than a move past them."""


def is_paint(data: str) -> bool:
    """Whether what Textual writes is a paint, and not some other sequence."""
    return PAINT.fullmatch(data) is not None


class Canvas:
    """The cells of a terminal: as the app wants them, and as they were last sent.

    A cell is its text and its style (`pen.py`); the second cell of a wide character has no text.

    Args:
        columns, lines: of the terminal; what is painted beyond is left out.
    """

    def __init__(self, columns: int, lines: int) -> None:
        self._texts: list[list[str]] = []
        self._styles: list[list[str]] = []
        self._cursor = "\x1b[1;1H"
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        """What is wanted stays where it is; what the terminal has made of what it showed is not known."""
        self.size = columns, lines
        self._texts = _fit(self._texts, columns, lines, " ")
        self._styles = _fit(self._styles, columns, lines, BLANK)
        self.forget()

    def forget(self) -> None:
        """Nothing is known any more of what the terminal shows."""
        columns, lines = self.size
        self._sent_texts = [[UNKNOWN] * columns for _ in range(lines)]
        self._sent_styles = [[UNKNOWN] * columns for _ in range(lines)]
        self._sent_cursor = ""
        self._touched = set(range(lines))

    def paint(self, data: str) -> None:
        """Takes a paint, as Textual writes it."""
        row = column = 0
        for y, x, style, styled, plain in PIECE.findall(data):
            if y:
                row, column = int(y) - 1, int(x) - 1
                self._cursor = f"\x1b[{y};{x}H"
            elif text := styled or plain:
                column = self._put(row, column, text, style)

    def _put(self, row: int, column: int, text: str, style: str) -> int:
        """Writes into one row; returns the column behind the text."""
        columns, lines = self.size
        cells = _cells(text)
        end = column + len(cells)
        if row < lines and column < columns:
            self._touched.add(row)
            if end > columns:
                cells, end = cells[: columns - column], columns
            self._texts[row][column:end] = cells
            self._styles[row][column:end] = [style if text.strip(" ") else blank(style)] * len(cells)
        return end

    def difference(self) -> str:
        """What makes the terminal show what the app wants, "" if it does. From here on that counts as sent."""
        out: list[str] = []
        pen = PLAIN
        for row in sorted(self._touched):
            pen = self._row(row, out, pen)
        self._touched.clear()
        if pen != PLAIN:
            out.append("\x1b[m")
        if out or self._cursor != self._sent_cursor:
            out.append(self._cursor)
            self._sent_cursor = self._cursor
        return "".join(out)

    def _row(self, row: int, out: list[str], pen: Pen) -> Pen:
        texts, styles = self._texts[row], self._styles[row]
        at, style = -1, UNKNOWN
        changed = self._changed(row)
        even = bool(changed) and _even(texts)
        for x in changed:
            if x != at:
                if 0 <= at < x <= at + GAP and styles[at:x] == [style] * (x - at):
                    out.append("".join(texts[at:x]))
                else:
                    out.append(f"\x1b[{row + 1};{x + 1}H")
            if styles[x] != style:
                style = styles[x]
                sequence, pen = change(pen, style)
                out.append(sequence)
            out.append(texts[x])
            at = x + 1 if even or SIMPLE.fullmatch(texts[x]) else -1
        self._sent_texts[row], self._sent_styles[row] = texts[:], styles[:]
        return pen

    def _changed(self, row: int) -> list[int]:
        """The columns to be sent: all of a row with a character that terminals count differently."""
        texts, styles = self._texts[row], self._styles[row]
        before, style_before = self._sent_texts[row], self._sent_styles[row]
        if texts == before and styles == style_before:
            return []
        if not (_even(texts) and (_even(before) or before[0] == UNKNOWN)):
            return [x for x, text in enumerate(texts) if text]
        return [x for x in range(len(texts)) if texts[x] != before[x] or styles[x] != style_before[x]]


def _fit(rows: list[list[str]], columns: int, lines: int, filler: str) -> list[list[str]]:
    filling = [filler] * columns
    return [(row + filling)[:columns] for row in rows[:lines]] + [filling[:] for _ in range(lines - len(rows))]


def _even(texts: list[str]) -> bool:
    joined = "".join(texts)
    return len(joined) == len(texts) and SIMPLE.fullmatch(joined) is not None


@lru_cache(4096)
def _cells(text: str) -> tuple[str, ...]:
    """The text's characters, each with what combines with it, and "" behind each wide one."""
    if SIMPLE.fullmatch(text):
        return tuple(text)
    cells: list[str] = []
    for character in text:
        width = get_character_cell_size(character)
        if width:
            cells += [character, *[""] * (width - 1)]
        elif cells:
            last = -1 if cells[-1] else -2
            cells[last] += character
    return tuple(cells)
