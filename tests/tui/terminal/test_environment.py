"""What the environment says of the terminal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llm_holes.tui.terminal.environment import is_colourless, unusable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TEXTUAL_COLOR_SYSTEM", "16"), ("TEXTUAL_COLOR_SYSTEM", ""), ("TEXTUAL_COLOR_SYSTEM", "\x1b[2J"),
        ("TEXTUAL_FPS", "fast"), ("TEXTUAL_FPS", "0"), ("TEXTUAL_FPS", "-1"), ("TEXTUAL_FPS", "9" * 5000),
        ("TEXTUAL_FPS", "²"),
    ],
)  # fmt: skip
def test_a_setting_the_app_cannot_start_with_is_one_sentence(name: str, value: str) -> None:
    told = unusable({"TERM": "xterm", name: value}, True)
    assert told.startswith(f"the environment sets {name} to “")
    assert told.endswith(".")
    assert "\x1b" not in told


@pytest.mark.parametrize("setting", [{}, {"TEXTUAL_COLOR_SYSTEM": "256"}, {"TEXTUAL_FPS": "30"}])
def test_a_setting_that_is_right_is_no_problem(setting: dict[str, str]) -> None:
    assert unusable({"TERM": "xterm", **setting}, True) == ""


@pytest.mark.parametrize(
    ("environment", "colourless"),
    [
        ({"TERM": "vt100"}, True), ({"TERM": "vt220-8bit"}, True), ({"TERM": "xterm-mono"}, True),
        ({"TERM": "xterm"}, False),
        ({"TERM": "linux"}, False), ({"TERM": "vt100", "COLORTERM": "truecolor"}, False), ({}, False),
    ],
)  # fmt: skip
def test_which_terminals_have_no_colours(environment: dict[str, str], colourless: bool) -> None:
    assert is_colourless(environment) is colourless


@pytest.mark.parametrize(
    ("environment", "encoding"),
    [
        ({"LANG": "C"}, "ascii"), ({}, "ascii"), ({"LC_ALL": "POSIX"}, "ascii"), ({"LANG": "C.UTF-8"}, "UTF-8"),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, "latin-1"), ({"LANG": "C", "TERM": "linux"}, "ascii"),
        ({"LANG": "C", "PYTHONUTF8": "1"}, "UTF-8"),
    ],
)  # fmt: skip
def test_the_characters_are_those_of_the_locale(environment: dict[str, str], encoding: str) -> None:
    code = "import os; from llm_holes.tui.terminal.environment import charset; print(charset(os.environ))"
    bare = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == encoding
