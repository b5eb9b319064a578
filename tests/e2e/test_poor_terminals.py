"""A terminal is sent no character and no colour that it lacks, on the screen and by the command line."""

from __future__ import annotations

import re
import sys

import pytest

from tests.support.paths import SUPPORT
from tests.support.terminal import Terminal

COLOURS = re.compile(rb"\x1b\[(?:[\d;:]*[;:])?(?:[34]\d|9\d|10\d)(?:[;:][\d;:]*)?m")


def shown(env: dict[str, str]) -> Terminal:
    """A lesson with a picture, and a dialog over it; the app has been left."""
    with Terminal([sys.executable, str(SUPPORT / "recorded_app.py"), "attention"], env) as t:
        t.until("ready", 20)
        t.keys("r")
        t.until("looks at", 20)
        t.keys("?")
        t.until("Everywhere")
        t.keys("\x1b[27u")
        t.until(lambda: "Everywhere" not in t.text)
        t.keys("\x11")
        assert t.status() == 0
        return t


@pytest.mark.parametrize(
    ("variables", "encoding"), [({"LANG": "C"}, "ascii"), ({"TERM": "linux"}, "latin-1")], ids=["LANG=C", "linux"]
)
def test_the_screen_has_only_characters_of_the_terminal(
    variables: dict[str, str], encoding: str, home: dict[str, str]
) -> None:
    shown(home | variables).output.decode().encode(encoding)


def test_a_terminal_without_colours_is_sent_none(home: dict[str, str]) -> None:
    t = shown(home | {"TERM": "vt100"})
    assert COLOURS.findall(t.output) == []
    assert b"\x1b[7m" in t.output  # what the cursor is on


def test_the_command_line_prints_only_characters_of_the_terminal(home: dict[str, str]) -> None:
    for arguments in (["run", "nonsense…"], ["list"], ["progress"]):
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
