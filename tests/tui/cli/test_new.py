"""`llm-holes new` writes a lesson that is without a fault, runs, and is tested; what cannot be one is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.lessons import tier2
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.lint import faults_of_run
from llm_holes.tui.cli import check, new
from llm_holes.tui.cli import main as cli
from llm_holes.tui.cli.run import Unsuccessful
from tests.support import tiny_gguf
from tests.support.paths import ROOT


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lessons of a checkout, which may be written to; what is new in tier 2 can be imported."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lessons", tmp_path / "lessons", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "lessons", tmp_path / "tests" / "lessons", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(tier2, "__path__", [*tier2.__path__, str(tmp_path / "lessons" / "tier2")])
    return tmp_path / "lessons"


@pytest.fixture
def small(tmp_path: Path) -> Engine:
    return Engine.load(store.locate(str(tiny_gguf.write_folder(tmp_path / "model")), lambda status: None), threads=1)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_new_lesson_is_on_the_map_and_without_a_fault(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(lessons.parent)
    count = len(catalog.outline(lessons).lessons)
    assert new.main("warm-soup", "tokens", lessons) == 0
    written = files(lessons.parent) - before
    assert set(capsys.readouterr().out.split()) == written
    found = catalog.read(lessons)
    assert len(found.lessons) == count + 1
    assert [lesson.id for lesson in found.children("tokens")][-1] == "warm-soup"
    assert check.main(None, False, lessons) == 0
    assert f"{count + 1} lessons, 0 runs, 0 problems" in capsys.readouterr().out


def test_a_new_lesson_runs_with_its_default_and_presets(lessons: Path, small: Engine) -> None:
    new.main("hot-soup", "tokens", lessons)
    lesson = catalog.read(lessons)["hot-soup"]
    for settings in ({}, *(preset.settings for preset in lesson.presets)):
        frames = list(catalog.experiment(lesson).run(small, lesson.defaults() | settings))
        assert all(frame.caption and frame.views for frame in frames)
        assert list(faults_of_run(lesson, frames)) == []


def test_what_is_written_keeps_to_the_style_of_the_house(lessons: Path) -> None:
    new.main("cold-soup", "tokens", lessons)
    written = [lessons / "tier2" / "cold_soup", lessons.parent / "tests" / "lessons" / "tier2" / "test_cold_soup.py"]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *map(str, written)], capture_output=True)
        assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize(
    "name", ["", "Soup", "hot_soup", "-soup", "soup-", "hot--soup", "../soup", "2nd", "class", "🍲"]
)
def test_an_id_that_cannot_be_one_is_refused(lessons: Path, name: str) -> None:
    before = files(lessons.parent)
    with pytest.raises(Unsuccessful, match="small letters") as caught:
        new.main(name, "tokens", lessons)
    assert caught.value.usage
    assert files(lessons.parent) == before


@pytest.mark.parametrize("name", ["tokenization", "what-happens", "stopping"])
def test_an_id_that_is_taken_is_refused(lessons: Path, name: str) -> None:
    before = files(lessons.parent)
    with pytest.raises(Unsuccessful, match=f"'{name}' already") as caught:
        new.main(name, "tokens", lessons)
    assert caught.value.usage
    assert files(lessons.parent) == before


def test_a_test_that_is_there_is_not_written_over(lessons: Path) -> None:
    test = lessons.parent / "tests" / "lessons" / "tier2" / "test_soup.py"
    test.write_text("mine")
    with pytest.raises(Unsuccessful, match="already"):
        new.main("soup", "tokens", lessons)
    assert test.read_text() == "mine"
    assert not (lessons / "tier2" / "soup").exists()


def test_a_parent_that_is_none_is_refused(lessons: Path) -> None:
    with pytest.raises(Unsuccessful, match="no lesson 'nowhere'") as caught:
        new.main("soup", "nowhere", lessons)
    assert caught.value.usage


def test_without_a_checkout_there_is_nothing_to_write_into(lessons: Path) -> None:
    shutil.rmtree(lessons.parent / "tests")
    with pytest.raises(Unsuccessful, match="checkout") as caught:
        new.main("soup", "tokens", lessons)
    assert caught.value.usage
    assert not (lessons / "tier2" / "soup").exists()


def test_a_refusal_is_one_sentence_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new", "Not An Id", "--under", "tokens"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "llm-holes: a lesson's id is small letters, digits and single dashes, not 'Not An Id'\n"
