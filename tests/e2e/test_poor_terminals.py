"""A terminal is sent no character and no colour that it lacks, on the screen and by the command line."""

from __future__ import annotations

import re
import sys

import pytest

from tests.support.paths import SUPPORT
from tests.support.terminal import Terminal

COLOURS = re.compile(rb"\x1b\[(?:[\d;:]*[;:])?(?:[34]\d|9\d|10\d)(?:[;:][\d;:]*)?m")


def test_the_screen_has_only_characters_and_no_colours_of_a_poor_terminal(home: dict[str, str]) -> None:
    """A lesson with a picture, and a dialog over it."""
    env = home | {"LANG": "C", "TERM": "vt100"}
    with Terminal([sys.executable, str(SUPPORT / "recorded_app.py"), "attention"], env) as t:
        t.until("ready")
        t.keys("r")
        t.until("looks at")
        t.keys("?")
        t.until("Everywhere")
        t.keys("\x11\x1b[27u\x11")
        assert t.status() == 0
        assert t.output.isascii()
        assert COLOURS.findall(t.output) == []
        assert b"\x1b[7m" in t.output  # what the cursor is on


def test_the_command_line_prints_only_characters_of_the_terminal(home: dict[str, str]) -> None:
    for arguments in (["run", "nonsense…"], ["progress"]):
        with Terminal(["llm-holes", *arguments], home | {"LANG": "C"}) as t:
            t.status()
            assert t.output.isascii(), t.text
            assert t.text


@pytest.mark.parametrize("setting", [{"TEXTUAL_COLOR_SYSTEM": "16"}, {"TEXTUAL_FPS": "fast"}], ids=str)
def test_a_wrong_setting_is_told_in_one_sentence(setting: dict[str, str], home: dict[str, str]) -> None:
    with Terminal(["llm-holes"], home | setting, size=(300, 20)) as t:
        assert t.status() == 2
        assert t.text.startswith(f"llm-holes: the environment sets {next(iter(setting))} to")
        assert "\n" not in t.text
