"""What the environment says of the terminal, and what in it Textual could not start with."""

from __future__ import annotations

import locale
import re
import sys
from collections.abc import Mapping

from llm_holes.tui.draw.sanitize import visible

COLOUR_SYSTEMS = ("auto", "standard", "256", "truecolor")
MOST_FPS = 240
# Terminals known to show 256 colours by their name alone; Textual would give them 16.
COLOURFUL = ("alacritty", "foot", "ghostty", "xterm-ghostty", "wezterm", "contour", "rio")
COLOURLESS = re.compile(r"vt(52|[1-4]\d\d)(-.*)?|.*-m(ono)?")
"""DEC's terminals, and those whose name says it."""


def unusable(environment: Mapping[str, str], on_terminal: bool) -> str:
    """Why the app cannot be drawn here, in one sentence, or nothing."""
    instead = "`llm-holes list` and `llm-holes run LESSON` work without one."
    if not on_terminal:
        return f"the tutor needs a terminal for input and output. {instead}"
    if (term := environment.get("TERM", "")) in {"", "dumb", "unknown"}:
        return f"the tutor needs a terminal that can move its cursor, and TERM is {term or 'not set'}. {instead}"
    colours = environment.get("TEXTUAL_COLOR_SYSTEM", "auto")
    if colours not in COLOUR_SYSTEMS:
        return _cannot_be("TEXTUAL_COLOR_SYSTEM", colours, f"{', '.join(COLOUR_SYSTEMS[:-1])} or {COLOUR_SYSTEMS[-1]}")
    fps = environment.get("TEXTUAL_FPS", "60")
    if not (fps.isascii() and fps.isdigit() and len(fps) < 9 and 1 <= int(fps) <= MOST_FPS):
        return _cannot_be("TEXTUAL_FPS", fps, f"a whole number from 1 to {MOST_FPS}")
    return ""


def _cannot_be(name: str, value: str, what: str) -> str:
    return f"the environment sets {name} to “{visible(value)}”, and it can be {what}."


def known_colours(environment: Mapping[str, str]) -> str:
    """The colours of a terminal that Textual takes for a poorer one, or nothing: ssh does not pass COLORTERM on."""
    return "256" if environment.get("TERM") in COLOURFUL and "COLORTERM" not in environment else ""


def is_colourless(environment: Mapping[str, str]) -> bool:
    """Whether the terminal has no colours, and none were asked for."""
    asked = {"COLORTERM", "TEXTUAL_COLOR_SYSTEM"} & environment.keys()
    return not asked and bool(COLOURLESS.fullmatch(environment.get("TERM", "")))


def charset(environment: Mapping[str, str]) -> str:
    """The encoding whose characters the terminal shows: that of the locale; of it, on the Linux console, what every
    console font has."""
    in_c_locale = sys.flags.utf8_mode and "PYTHONUTF8" not in environment and "utf8" not in sys._xoptions
    encoding = "ascii" if in_c_locale else locale.getencoding()
    return "latin-1" if environment.get("TERM") == "linux" and encoding == "UTF-8" else encoding
