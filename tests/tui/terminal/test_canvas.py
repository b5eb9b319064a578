"""What is sent leaves a terminal as all paints would have, in few bytes."""

from __future__ import annotations

import sys
from random import Random

import pyte
import pytest
from rich.cells import get_character_cell_size

from llm_holes.tui.terminal.canvas import SIMPLE, Canvas, is_paint
from tests.support.soak import examples

COLUMNS, LINES = 24, 6
STYLES = ("", "31", "1;38;2;1;2;3", "38;2;1;2;3;48;2;4;5;6", "48;2;4;5;6", "4;97")
TEXTS = ("a", " ", "token", "   ", "│─┤", "⠁⠂", "今天", "é", "日本 x", "e\u0301", "α")


def piece(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


def paint(random: Random) -> str:
    """As Textual paints: pieces of rows, each begun with a move and drawn up to a place where it ends."""
    data = ""
    for _ in range(random.randint(1, 4)):
        row, x = random.randint(1, LINES), 2 * random.randint(0, COLUMNS // 2 - 1)
        data += f"\x1b[{row};{x + 1}H"
        while x < COLUMNS - 6 and random.random() < 0.8:
            text = random.choice(TEXTS)
            # even places: no piece begins in the middle of a wide character
            text += " " * (sum(map(get_character_cell_size, text)) % 2)
            data += piece(text, random.choice(STYLES))
            x += sum(map(get_character_cell_size, text))
        data += "\n"
    return f"{data}\x1b[1;1H"


class Shown:
    """A terminal, and what it shows."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.Stream(self.screen)

    def cells(self) -> list[tuple[object, ...]]:
        rows = [[self.screen.buffer[y][x] for x in range(COLUMNS)] for y in range(LINES)]
        return [_seen(cell) for row in rows for cell in row]


def _seen(cell: pyte.screens.Char) -> tuple[object, ...]:
    marks = (cell.reverse, cell.underscore, cell.strikethrough)
    return (cell.data, cell.bg, *marks) if cell.data == " " and not any(marks) else tuple(cell)


@pytest.mark.parametrize("seed", range(examples(12)))
def test_the_terminal_shows_what_all_paints_would_have_left(seed: int) -> None:
    random = Random(seed)
    meant, sent, canvas = Shown(), Shown(), Canvas(COLUMNS, LINES)
    for _ in range(20):
        data = paint(random)
        assert is_paint(data)
        meant.stream.feed(data.replace("\n", ""))
        canvas.paint(data)
        if random.random() < 0.5:
            sent.stream.feed(canvas.difference())
            assert sent.cells() == meant.cells()
    sent.stream.feed(canvas.difference())
    assert sent.cells() == meant.cells()
    assert canvas.difference() == ""


def test_what_was_painted_over_before_it_was_sent_is_not_sent() -> None:
    canvas = Canvas(20, 2)
    canvas.difference()
    for n in range(100):
        canvas.paint(f"\x1b[1;1H{n:4} tokens\x1b[1;1H")
    assert canvas.difference() == "\x1b[1;1H  99 tokens\x1b[1;1H"


def test_of_a_row_painted_again_only_the_cells_that_changed_are_sent() -> None:
    canvas = Canvas(60, 1)
    row = "\x1b[1;1H\x1b[1;31mname\x1b[0m\x1b[48;5;7m" + "{}" + " " * 40 + "end\x1b[0m\x1b[1;1H"
    canvas.paint(row.format("1"))
    canvas.difference()
    canvas.paint(row.format("2"))
    assert canvas.difference() == "\x1b[1;5H\x1b[48;5;7m2\x1b[m\x1b[1;1H"
    canvas.paint(row.format("2"))
    assert canvas.difference() == ""


def test_after_a_change_of_size_all_that_is_wanted_is_sent_again() -> None:
    canvas, shown = Canvas(10, 2), Shown()
    canvas.paint("\x1b[1;1Habcdefghij\n\x1b[2;1Hkl\x1b[1;1H")
    canvas.difference()
    canvas.resize(4, 3)
    shown.stream.feed(canvas.difference())
    assert [line.rstrip() for line in shown.screen.display[:3]] == ["abcd", "kl", ""]


def test_behind_a_character_that_terminals_count_differently_the_place_is_named() -> None:
    canvas = Canvas(12, 1)
    canvas.paint("\x1b[1;1H今天 x\x1b[1;1H")
    assert canvas.difference().startswith("\x1b[1;1H今\x1b[1;3H天\x1b[1;5H x")


@pytest.mark.parametrize(
    "data", ["\x07", "\x1b[?2048h", "\x1b]52;c;aGk=\x07", "\x1b]8;;x\x1b\\a", "\x1b[6n", "", "\x1b[2J"]
)
def test_other_sequences_are_no_paints(data: str) -> None:
    assert not is_paint(data)


def test_simple_characters_are_one_cell_wide() -> None:
    simple = [chr(n) for n in range(0x20, sys.maxunicode) if SIMPLE.fullmatch(chr(n))]
    assert 1500 < len(simple) < 3000
    assert all(get_character_cell_size(character) == 1 for character in simple)
