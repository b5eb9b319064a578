"""`llm-holes check` finds each kind of fault, says where it is, and does not stop at the first."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_holes.engine.frames import Frame
from llm_holes.engine.ipc import client
from llm_holes.lessons import catalog
from llm_holes.lessons.inspection import faults_of_run, inspect
from llm_holes.tui import check_command, cli
from tests.support.fake_engine import MODEL, gallery

LESSONS = Path(catalog.__file__).parent
FAKE = Path(__file__).parents[1] / "support" / "fake_engine.py"
NAMES = tuple(gallery(3, 3).measured)
TEXT = """+++
title = "What is a token?"
objective = "See tokens."
parent = "what-happens"
order = 2
minutes = 6
stages = ["tokens"]
publishes = ["step", "ms_per_token", "answer", "spread"]
see_also = ["embeddings"]
code = ["llm_holes.engine.tokenizer.tokenizer:Tokenizer"]

[terms]
token = "A piece of text."

[[controls]]
name = "text"
kind = "text"
label = "text"
default = "hello"
help = "Any text."

[[presets]]
name = "first"
expect = "expected"
why = "As everyone expects."
settings = { text = "one" }

[[presets]]
name = "second"
expect = "surprise"
why = "As nobody expects."
settings = { text = "two" }

[predict]
question = "How many steps?"
measurement = "step"
[[predict.options]]
text = "few"
below = 2
because = "Few: {measured.step}."
[[predict.options]]
text = "many"
at_least = 2
because = "Many, with {model.layers} layers."

[[quiz]]
question = "What was the answer?"
measurement = "answer"
hints = ["Look.", "Look closer."]
[[quiz.options]]
text = "the capital"
equals = "Paris"
because = "It is."
[[quiz.options]]
text = "another town"
equals = "Lyon"
because = "It is not."

[[quiz]]
question = "Which one?"
hints = ["Think.", "Think harder."]
[[quiz.options]]
text = "this"
correct = true
because = "This."
[[quiz.options]]
text = "that"
because = "Not that."
+++
Steps: {measured.step:.2f} of {model.layers}. See [vectors](hole:embeddings).
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tier1").mkdir()
    (tmp_path / "tier1" / "tokens.md").write_text(TEXT, encoding="utf-8")
    place = '{} = {{ title = "x", tier = 0, order = 1 }}\n'
    (tmp_path / "undug.toml").write_text(place.format("what-happens") + place.format("embeddings"))
    return tmp_path


def check(folder: Path, capsys: pytest.CaptureFixture[str], command: list[str] | None = None) -> tuple[int, Any]:
    status = check_command.main(command, True, folder)
    return status, json.loads(capsys.readouterr().out)


def test_the_lessons_of_this_program_have_no_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"]) == 0
    dug = sum(lesson.dug for lesson in catalog.load().lessons.values())
    assert capsys.readouterr().out == f"{dug} lessons, 0 runs, 0 problems\n"


def test_a_good_lesson_has_no_faults(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, capsys) == (0, {"lessons": 1, "runs": 0, "problems": []})


FAULTS = {
    "unknown key": ("minutes = 6", "minutes = 6\nmintues = 7", "mintues = 7", "mintues"),
    "no front matter": ("+++\ntitle", "title", "title", "between two +++"),
    "not TOML": ("order = 2", "order = = 2", "order = = 2", "Invalid"),
    "missing parent": ('parent = "what-happens"', 'parent = "nowhere"', "+++", "nowhere"),
    "dead see_also": ('see_also = ["embeddings"]', 'see_also = ["nowhere"]', "see_also", "not a lesson"),
    "dead link": ("(hole:embeddings)", "(hole:nowhere)", "(hole:nowhere)", "not a lesson"),
    "one hint": ('hints = ["Look.", "Look closer."]', 'hints = ["Look."]', 'hints = ["Look."]', "length >= 2"),
    "no explanation": ('because = "It is not."\n', "", "[[quiz]]", "because"),
    "prediction of nothing": ('measurement = "step"', 'measurement = "steps"', "[predict]", "not publish"),
    "answer of nothing": ('measurement = "answer"', 'measurement = "answers"', "What was the answer?", "not publish"),
    "text quotes nothing": ("Steps: {measured.step:", "Steps: {measured.steps:", "measured.steps", "not publish"),
    "reason quotes nothing": ("Few: {measured.step}", "Few: {measured.few}", "measured.few", "not publish"),
    "no such fact": ("with {model.layers}", "with {model.layer}", "model.layer}", "not known of a model"),
    "gap": ("below = 2", "below = 1", "How many steps?", "no option is right for numbers from 1 to 2"),
    "overlap": ("below = 2", "below = 3", "How many steps?", "two options are right for numbers from 2 to 3"),
    "no right option": ("correct = true\n", "", "Which one?", "exactly one"),
    "no surprise": ('expect = "surprise"\n', "", "[[presets]]", "surprise"),
    "preset of nothing": ('settings = { text = "two" }', 'settings = { txt = "two" }', '"second"', "not a control"),
    "no such module": ("tokenizer.tokenizer:", "tokenizer.tokeniser:", "tokeniser:", "not there yet"),
    "no such class": (":Tokenizer", ":Tokeniser", ":Tokeniser", "Tokeniser is not in this module"),
}


@pytest.mark.parametrize(("old", "new", "marked", "said"), FAULTS.values(), ids=FAULTS)
def test_each_kind_of_fault_is_found_with_file_and_line(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, marked: str, said: str
) -> None:
    assert TEXT.count(old) >= 1
    text = TEXT.replace(old, new, 1)
    (folder / "tier1" / "tokens.md").write_text(text, encoding="utf-8")
    status, found = check(folder, capsys)
    assert status == 1
    (problem,) = found["problems"]
    assert problem["file"] == "tier1/tokens.md"
    assert said in problem["problem"]
    lines = text.splitlines()
    assert abs(problem["line"] - 1 - next(n for n, line in enumerate(lines) if marked in line)) <= 1


def test_a_lesson_without_an_experiment_is_a_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tier1" / "tokens.md").rename(folder / "tier1" / "no_such_lesson.md")
    status, found = check(folder, capsys)
    assert (status, len(found["problems"])) == (1, 1)
    assert "has no run()" in found["problems"][0]["problem"]


def test_all_faults_of_all_files_are_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        TEXT.replace(":Tokenizer", ":X")
        .replace("(hole:embeddings)", "(hole:nowhere)")
        .replace("below = 2", "below = 1")
    )
    (folder / "tier1" / "tokens.md").write_text(text)
    (folder / "tier1" / "broken.md").write_text("no lesson")
    (folder / "tier1" / "latin.md").write_bytes(b"+++\n\xe9")
    status, found = check(folder, capsys)
    assert status == 1
    assert sorted(p["file"] for p in found["problems"]) == [
        "tier1/broken.md",
        "tier1/latin.md",
        *["tier1/tokens.md"] * 3,
    ]


def test_a_broken_map_is_reported(folder: Path) -> None:
    (folder / "undug.toml").write_text("a = 1\n")
    assert next(fault.file for fault in inspect(folder)[1]) == "undug.toml"


def test_a_report_for_people_has_file_line_and_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "tier1" / "tokens.md").write_text(TEXT.replace('"nobody"', "").replace("below = 2", "below = 1"))
    assert check_command.main(None, False, folder) == 1
    line = TEXT.splitlines().index('question = "How many steps?"') + 1
    assert capsys.readouterr().out == (
        f"lessons/tier1/tokens.md:{line}: no option is right for numbers from 1 to 2\n1 lesson, 0 runs, 1 problem\n"
    )


def test_every_default_and_preset_is_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = check(folder, capsys, [sys.executable, str(FAKE)])
    assert (status, found) == (0, {"lessons": 1, "runs": 3, "problems": []})


def test_what_a_run_does_not_keep_is_a_problem_of_its_preset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TEXT.replace('"spread"]', '"spreads"]').replace('equals = "Paris"', 'equals = "Rome"')
    (folder / "tier1" / "tokens.md").write_text(text)
    status, found = check(folder, capsys, [sys.executable, str(FAKE)])
    problems = [problem["problem"] for problem in found["problems"]]
    assert status == 1
    for where in ("with the default settings: ", "with the preset 'first': ", "with the preset 'second': "):
        assert f"{where}'spreads' was not measured" in problems
        assert f"{where}'spread' was measured, but the lesson does not publish it" in problems
        assert f"{where}0 options are right where answer is 'Paris'" in problems


def test_a_run_that_fails_is_a_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fake engine crashes in a lesson of that name; it is started again for each preset."""
    shutil.move(folder / "tier1" / "tokens.md", folder / "tier1" / "crash.md")
    found = check(folder, capsys, [sys.executable, str(FAKE)])[1]["problems"]
    assert ["SIGSEGV" in problem["problem"] for problem in found] == [False, True, True, True]
    assert [problem["line"] for problem in found[2:]] == [
        TEXT.splitlines().index(f'name = "{name}"') + 1 for name in ("first", "second")
    ]


def test_the_command_needs_an_engine_only_to_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "command_for", lambda *_: [sys.executable, str(FAKE), "--unavailable"])
    assert cli.main(["check"]) == 0
    assert cli.main(["check", "--run"]) == 1
    assert "no fake model" in capsys.readouterr().err


def test_a_placeholder_that_cannot_be_formatted_is_found(folder: Path) -> None:
    (folder / "tier1" / "tokens.md").write_text(
        TEXT.replace("Steps: {measured.step:.2f}", "Steps: {measured.step:.2q}")
    )
    (lesson,), faults = inspect(folder)
    assert not faults
    (fault,) = faults_of_run(lesson, [gallery(3, 3)], MODEL)
    assert fault[0] == "{measured.step:.2q}"
    assert next(faults_of_run(lesson, [Frame("x")], MODEL))[1].endswith("was not measured")
    assert list(faults_of_run(lesson, [], MODEL)) == [("", "the run showed nothing")]
