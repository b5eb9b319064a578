"""A view as a picture for documents: the plain drawing in the light theme's colours, through Rich's SVG export."""

from __future__ import annotations

import io
from itertools import groupby

from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from textual.color import Color

from llm_holes.engine.frames import View
from llm_holes.tui.draw import Row
from llm_holes.tui.plain import view_rows
from llm_holes.tui.themes import LIGHT

COLOURS = LIGHT.variables
GROUND, INK = (Color.parse(colour or "") for colour in (LIGHT.background, LIGHT.foreground))
THEME = TerminalTheme(GROUND.rgb, INK.rgb, [(0, 0, 0)] * 8)
PAGE = """<svg class="rich-terminal" viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" fill="#GROUND"/>
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</svg>
""".replace("#GROUND", GROUND.hex6)
ROLES = {
    "title": Style(color=COLOURS["muted"], bold=True),
    "dim": Style(color=COLOURS["muted"]),
    "muted": Style(color=COLOURS["muted"]),
    "strong": Style(color=COLOURS["strong"], bold=True),
    "measured": Style(color=COLOURS["measured"]),
    "measured-soft": Style(color=COLOURS["measured"]),
    "chip0": Style(bgcolor=COLOURS["chip"]),
    "chip1": Style(color=COLOURS["strong"], bgcolor=COLOURS["chip-other"]),
    "plus": Style(color=COLOURS["measured"], bold=True),
    "minus": Style(color=COLOURS["muted"], strike=True),
}


def view_svg(view: View, width: int) -> str:
    """The view, `width` characters wide, as an SVG that needs nothing from elsewhere."""
    paper = io.StringIO()
    console = Console(file=paper, width=width, record=True, force_terminal=True, color_system="truecolor")
    for row in view_rows(view, width):
        console.print(_line(row), no_wrap=True, crop=True, overflow="ignore", highlight=False)
    return console.export_svg(theme=THEME, code_format=PAGE, unique_id="view")


def _line(row: Row) -> Text:
    """Neighbours in one style become one piece: a map has thousands of cells."""
    styled = groupby(row, key=lambda span: span.role)
    return Text.assemble(*(("".join(s.text for s in spans), ROLES.get(role, Style.null())) for role, spans in styled))
