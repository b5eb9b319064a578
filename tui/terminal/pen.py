"""The way text is drawn, as a terminal keeps it, and the shortest sequence from one such state to another."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class Pen(NamedTuple):
    """How a terminal draws what comes next. Colours are SGR parameters, "" for the terminal's own."""

    marks: frozenset[str] = frozenset()
    """Bold, underlined, …: the parameters that switch them on."""
    ink: str = ""
    ground: str = ""


PLAIN = Pen()
OFF = {
    "1": "22",
    "2": "22",
    "3": "23",
    "4": "24",
    "5": "25",
    "6": "25",
    "7": "27",
    "8": "28",
    "9": "29",
    "21": "24",
    "51": "54",
    "52": "54",
    "53": "55",
}
"""What switches a mark off; some share it."""
SEEN_ON_SPACES = frozenset({"4", "7", "9", "21", "51", "52", "53"})
BLANK = " "
"""Begins a style of which only the ground is seen."""


@lru_cache(4096)
def blank(style: str) -> str:
    """The style of spaces that are drawn in `style`: without ink, where none of it would be seen."""
    pen = pen_of(style)
    return style if pen.marks & SEEN_ON_SPACES else BLANK + pen.ground


@lru_cache(4096)
def pen_of(style: str) -> Pen:
    """From SGR parameters such as `1;38;2;255;0;0;48;5;7`, as they follow a reset, or from a blank's style."""
    marks, ink, ground = set(), "", ""
    codes = iter(style.strip(BLANK).split(";"))
    for code in codes:
        if code in {"38", "48"}:
            kind = next(codes)
            colour = ";".join([code, kind, *(next(codes) for _ in range(3 if kind == "2" else 1))])
            ink, ground = (colour, ground) if code == "38" else (ink, colour)
        elif code in OFF:
            marks.add(code)
        elif code[:-1] in {"3", "9"}:
            ink = "" if code == "39" else code
        elif code[:-1] in {"4", "10"}:
            ground = "" if code == "49" else code
    return Pen(frozenset(marks), ink, ground)


@lru_cache(8192)
def change(pen: Pen, style: str) -> tuple[str, Pen]:
    """The sequence that makes `pen` draw in `style`, naming only what differs, and the pen after it."""
    wanted = pen_of(style)
    if style[:1] == BLANK:
        wanted = Pen(pen.marks - SEEN_ON_SPACES, pen.ink, wanted.ground)
    if wanted == pen:
        return "", pen
    if wanted == PLAIN:
        return "\x1b[m", PLAIN
    off = {OFF[mark] for mark in pen.marks - wanted.marks}
    codes = sorted(off) + sorted(mark for mark in wanted.marks if mark not in pen.marks or OFF[mark] in off)
    if wanted.ink != pen.ink:
        codes.append(wanted.ink or "39")
    if wanted.ground != pen.ground:
        codes.append(wanted.ground or "49")
    return f"\x1b[{';'.join(codes)}m", wanted
