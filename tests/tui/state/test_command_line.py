"""The command that makes a run again says the same to a shell as was set on the screen."""

from __future__ import annotations

import pytest

from llm_holes.lessons.catalog import catalog
from llm_holes.tui.cli import commands
from llm_holes.tui.state.command_line import quoted, run_command
from tests.support.shell import words

LESSONS = catalog.load()
ODD = [
    "What is a token?",
    'it\'s "so" & $HOME `id` !! \\ {x}',
    "two\nlines\tand \\n",
    "\x1b[2J\u202e\x85 ' \U000e0001 é 日本",
    "",
    "-x",
    "a=b",
]


@pytest.mark.parametrize("text", ODD)
def test_a_shell_reads_the_very_text(text: str) -> None:
    word = quoted(text)
    assert word.isprintable()
    assert words(word) == [text]


def test_only_what_is_not_the_default_is_set() -> None:
    lesson = LESSONS["tokens"]
    assert run_command(lesson, lesson.defaults()) == ("llm-holes run tokens",)
    changed = lesson.defaults() | {"text": "two words"}
    assert run_command(lesson, changed, "my model") == (
        "llm-holes run tokens", "--set 'text=two words'", "--model 'my model'"
    )  # fmt: skip


@pytest.mark.parametrize("name", LESSONS.lessons)
def test_every_preset_comes_back_from_its_command(name: str) -> None:
    lesson = LESSONS[name]
    for preset in lesson.presets:
        settings = lesson.defaults() | preset.settings
        program, command, lesson_id, *options = words(" ".join(run_command(lesson, settings)))
        assert [program, command, lesson_id] == ["llm-holes", "run", name]
        assignments = [word for word in options if word != "--set"]
        assert lesson.defaults() | commands._settings(lesson, None, assignments) == settings


def test_a_run_on_a_server_is_made_again_on_that_server() -> None:
    lesson = catalog.load()["tokens"]
    assert run_command(lesson, lesson.defaults(), "tiny", "https://host/v1") == (
        "llm-holes run tokens", "--engine https://host/v1", "--model tiny"
    )  # fmt: skip
