"""A view as a picture for documents: the plain drawing in the light theme's colours, through Rich's SVG export."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import groupby
from xml.sax.saxutils import escape

from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from llm_holes.engine.frames import View
from llm_holes.tui.draw.as_text import view_rows
from llm_holes.tui.draw.colours import HUES, LIGHT
from llm_holes.tui.draw.spans import Row


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(LIGHT[colour].removeprefix("#"))
    return red, green, blue


THEME = TerminalTheme(_rgb("ground"), _rgb("ink"), [(0, 0, 0)] * 8)
PAGE = """<svg class="rich-terminal" viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">#ABOUT
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" fill="#GROUND"/>
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</svg>
""".replace("#GROUND", LIGHT["ground"].upper())
ROLES = {
    "title": Style(color=LIGHT["muted"], bold=True),
    "dim": Style(color=LIGHT["muted"]),
    "muted": Style(color=LIGHT["muted"]),
    "strong": Style(color=LIGHT["strong"], bold=True),
    "measured": Style(color=LIGHT["measured"]),
    "measured-soft": Style(color=LIGHT["measured"]),
    "chip0": Style(bgcolor=LIGHT["chip"]),
    "chip1": Style(color=LIGHT["strong"], bgcolor=LIGHT["chip-other"]),
    "plus": Style(color=LIGHT["measured"], bold=True),
    "minus": Style(color=LIGHT["muted"], strike=True),
    **{hue: Style(color=LIGHT[hue]) for hue in HUES},
}


def view_svg(view: View, width: int) -> str:
    """The view, `width` characters wide, as an SVG that needs nothing from elsewhere."""
    return rows_svg(view_rows(view, width), width)


def rows_svg(rows: Iterable[Row], width: int, about: str = "") -> str:
    """Rows as such an SVG. `about` is what a program reads of it, and nobody sees."""
    paper = io.StringIO()
    console = Console(file=paper, width=width, record=True, force_terminal=True, color_system="truecolor")
    for row in rows:
        console.print(_line(row), no_wrap=True, crop=True, overflow="ignore", highlight=False)
    described = f"\n<desc>{escape(about)}</desc>" if about else ""
    # the page is a format string, in which a brace of the text is written twice
    page = PAGE.replace("#ABOUT", described.replace("{", "{{").replace("}", "}}"))
    return console.export_svg(theme=THEME, code_format=page, unique_id="view")


def _line(row: Row) -> Text:
    """Neighbours in one style become one piece: a map has thousands of cells."""
    styled = groupby(row, key=lambda span: span.role)
    return Text.assemble(*(("".join(s.text for s in spans), ROLES.get(role, Style.null())) for role, spans in styled))
