"""What is drawn, made fit for terminals that lack colours or characters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from llm_holes.tui.terminal.ascii import written_in
from llm_holes.tui.terminal.environment import charset, is_colourless

APART = 0.05
"""Brightness by which a background stands out from the one around it."""


def poor_terminal(environment: Mapping[str, str]) -> list[LineFilter]:
    """The filters this terminal needs; none for most."""
    needed: list[LineFilter] = [Colourless()] if is_colourless(environment) else []
    if (encoding := charset(environment)) != "UTF-8":
        needed.append(Written(encoding))
    return needed


class Written(LineFilter):
    """Characters that an encoding lacks become their twins."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._written = written_in(encoding)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(self._written(text), style, control) for text, style, control in segments]


class Colourless(LineFilter):
    """No colour is sent; what stands out by its background is shown in reverse."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, style and _colourless(style, background), control) for text, style, control in segments]


@lru_cache(1024)
def _colourless(style: Style, around: Color) -> Style:
    behind = style.bgcolor
    if behind is None or behind.is_default:
        return style.without_color
    apart = abs(Color.from_rich_color(behind).brightness - around.brightness) > APART
    return style.without_color + Style(reverse=bool(style.reverse) != apart)
