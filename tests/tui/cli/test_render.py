"""`llm-holes check --render` prints what a lesson says with each of its settings, on an engine without a model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llm_holes.tui.cli import render
from llm_holes.tui.cli.run import Unsuccessful
from tests.support.lesson_files import write
from tests.support.paths import SUPPORT
from tests.tui.cli.test_check import DATA, TEXT

FAKE = [sys.executable, str(SUPPORT / "fake_engine.py")]
BODY = TEXT.replace(
    "Steps: {measured.step}.",
    "With “{settings.text}” {?measured.step > 1}there were **{measured.step}**{:}there was one{/} " + "and more " * 12,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "tier1/tokens", DATA, BODY)
    return tmp_path


def test_each_run_is_a_block_with_the_steps_it_is_made_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert render.main(FAKE, [], folder=folder) == 0
    _, *blocks = capsys.readouterr().out.split("===== ")
    assert [block.partition(" =====")[0] for block in blocks] == [
        "tokens: the default settings, step 1, step 3",
        "tokens: step 2",
        "tokens: the preset 'first'",
        "tokens: the preset 'second'",
    ]
    assert ["## 1. One" in block for block in blocks] == [True, False, True, True]
    assert all("## 2. Two" in block for block in blocks)
    assert "set: text = 'three'" in blocks[1]


def test_the_words_are_filled_for_their_run_and_wrapped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    render.main(FAKE, ["tokens"], folder=folder)
    out = capsys.readouterr().out
    assert "Layers: 30." in out
    assert "With “three” there were 3 and more" in out
    assert "With “one frame” there was one and more" in out
    assert "See vectors." in out
    assert max(map(len, out.splitlines())) <= 100


def test_with_settings_of_ones_own_the_steps_are_printed_with_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render.main(FAKE, ["tokens"], ["text=🙂"], folder) == 0
    _, *blocks = capsys.readouterr().out.split("===== ")
    assert [block.partition(" =====")[0] for block in blocks] == ["tokens: step 1, step 2, step 3"]
    assert "With “🙂” there" in blocks[0]


@pytest.mark.parametrize(("assignment", "said"), [("text", "NAME=VALUE"), ("nothing=1", "no setting 'nothing'")])
def test_settings_that_the_lesson_does_not_have_are_refused(folder: Path, assignment: str, said: str) -> None:
    with pytest.raises(Unsuccessful, match=said) as error:
        render.main(FAKE, ["tokens"], [assignment], folder)
    assert error.value.usage


def test_a_run_that_fails_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tier1/tokens").rename(folder / "tier1/crash")
    assert render.main(FAKE, [], folder=folder) == 1
    assert capsys.readouterr().out.count("The run failed: ") == 4


def test_a_lesson_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(Unsuccessful, match="there is no lesson 'nowhere'"):
        render.main(FAKE, ["nowhere"], folder=folder)
