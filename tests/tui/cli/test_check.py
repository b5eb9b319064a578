"""`llm-holes check` finds each kind of fault, says where it is, and does not stop at the first."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc import client
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.balance import FEWEST
from llm_holes.lessons.lint import faults_of_bets, faults_of_run, inspect
from llm_holes.tui.cli import check as check_command
from llm_holes.tui.cli import main as cli
from tests.support.fake_engine import UNSOLVED, gallery
from tests.support.lesson_files import write
from tests.support.paths import SUPPORT

LESSONS = Path(catalog.__file__).parent
FAKE = SUPPORT / "fake_engine.py"
NAMES = tuple(gallery(3, 3).measured)
DATA = """title = "What is a token?"
short = "Tokens"
keep = "Text becomes tokens."
objective = "See tokens."
order = 2
minutes = 6
stages = ["tokens"]
publishes = ["step", "ms_per_token", "answer", "spread"]
see_also = ["tokens"]
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
settings = { text = "one frame" }

[[steps]]
view = "count"

[[steps]]
view = "count"
settings = { text = "three" }
[steps.bet]
question = "How many steps?"
measurement = "step"
[[steps.bet.options]]
text = "few"
below = 2
because = "Few: {measured.step}."
[[steps.bet.options]]
text = "many"
at_least = 2
because = "Many, with {model.n_layers} layers."

[[steps]]
view = "count"

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
"""
TEXT = """## One

Layers: {model.n_layers}.

## Two

Guess.

---

Steps: {measured.step}.

## Three

See [vectors](hole:tokens).
"""
TOML, MD = "tier1/tokens/lesson.toml", "tier1/tokens/lesson.md"
CONTROL = DATA.splitlines().index('name = "text"') + 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "tier1/tokens", DATA, TEXT)
    return tmp_path


def check(folder: Path, capsys: pytest.CaptureFixture[str], command: list[str] | None = None) -> tuple[int, Any]:
    status = check_command.main(command, True, folder)
    return status, json.loads(capsys.readouterr().out)


def test_the_lessons_of_this_program_have_no_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"]) == 0
    assert capsys.readouterr().out == f"{len(catalog.load().lessons)} lessons, 0 runs, 0 problems\n"


def test_a_good_lesson_has_no_faults(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, capsys) == (0, {"lessons": 1, "runs": 0, "solvable": {}, "problems": []})


FAULTS = {
    "unknown key": ("minutes = 6", "minutes = 6\nmintues = 7", "mintues = 7", "mintues"),
    "not TOML": ("order = 2", "order = = 2", "order = = 2", "Invalid"),
    "missing parent": ("minutes = 6", 'minutes = 6\nparent = "nowhere"', "title", "nowhere"),
    "dead see_also": ('see_also = ["tokens"]', 'see_also = ["nowhere"]', "see_also", "not a lesson"),
    "dead link": ("(hole:tokens)", "(hole:nowhere)", "(hole:nowhere)", "not a lesson"),
    "one hint": ('hints = ["Look.", "Look closer."]', 'hints = ["Look."]', 'hints = ["Look."]', "length >= 2"),
    "no explanation": ('because = "It is not."\n', "", "[[quiz]]", "because"),
    "prediction of nothing": ('measurement = "step"', 'measurement = "steps"', "[steps.bet]", "not publish"),
    "answer of nothing": ('measurement = "answer"', 'measurement = "answers"', "What was the answer?", "not publish"),
    "text quotes nothing": ("Steps: {measured.step}", "Steps: {measured.steps}", "measured.steps", "not publish"),
    "reason quotes nothing": ("Few: {measured.step}", "Few: {measured.few}", "measured.few", "not publish"),
    "no such fact": ("with {model.n_layers}", "with {model.n_layer}", "model.n_layer}", "not known of a model"),
    "gap": ("below = 2", "below = 1", "How many steps?", "no option is right for numbers from 1 to 2"),
    "overlap": ("below = 2", "below = 3", "How many steps?", "two options are right for numbers from 2 to 3"),
    "no right option": ("correct = true\n", "", "Which one?", "exactly one"),
    "no surprise": ('expect = "surprise"\n', "", "[[presets]]", "surprise"),
    "preset of nothing": ('{ text = "one frame" }', '{ txt = "two" }', '"second"', "not a control"),
    "preset of the defaults": ('text = "one frame" }', 'text = "hello" }', '"second"', "equals the defaults"),
    "long help": ('help = "Any text."', f'help = "{"Any text. " * 8}"', "help = ", "80 characters, 74 fit"),
    "long label": ('label = "text"', 'label = "a label of 17 cha"', "label = ", "over 16 characters"),
    "bet of nothing": ('settings = { text = "three" }', 'settings = { txt = "three" }', "txt =", "not a control"),
    "no bet": (
        '[steps.bet]\nquestion = "How many steps?"\nmeasurement',
        '[steps.bet]\nquestion = ""\nmeasurement',
        "question",
        "length",
    ),
    "step without words": ("## Three", "Three", "[[steps]]", "3 steps and 2 headings"),
    "answer before the bet": ("Guess.", "It is {measured.step}.", "## Two", "quoted before the run"),
    "long step": ("Guess.", "Guess. " * 71, "## Two", "at most 70 words"),
    "many values": ("Steps: {measured.step}.", "{measured.step} " * 7, "## Two", "at most 6 values"),
    "empty step": ("Guess.", "", "## Two", "says nothing"),
    "no condition": ("Guess.", "{?tokens}Guess.{/}", "{?tokens", "is no condition"),
    "open condition": ("Guess.", "{?model.n_layers}Guess.", "{?", "ends with {/}"),
    "condition on nothing": ("Steps:", "{?measured.steps > 1}Steps:{/}", "measured.steps", "not publish"),
    "setting of nothing": ("Guess.", "{settings.txt}", "settings.txt", "not a control"),
    "no such module": ("tokenizer.tokenizer:", "tokenizer.tokeniser:", "tokeniser:", "not there yet"),
    "no such class": (":Tokenizer", ":Tokeniser", ":Tokeniser", "Tokeniser is not in this module"),
}


@pytest.mark.parametrize(("old", "new", "marked", "said"), FAULTS.values(), ids=FAULTS)
def test_each_kind_of_fault_is_found_with_file_and_line(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, marked: str, said: str
) -> None:
    assert (DATA + TEXT).count(old) >= 1
    name, text = (TOML, DATA) if old in DATA else (MD, TEXT)
    text = text.replace(old, new, 1)
    (folder / name).write_text(text, encoding="utf-8")
    if marked == "[[steps]]":
        name, text = TOML, (folder / TOML).read_text(encoding="utf-8")
    status, found = check(folder, capsys)
    assert status == 1
    (problem,) = found["problems"]
    assert problem["file"] == name
    assert said in problem["problem"]
    lines = text.splitlines()
    assert abs(problem["line"] - 1 - next(n for n, line in enumerate(lines) if marked in line)) <= 1


READS = {
    "directly": 'def run(engine, p):\n    return p["text"]\n',
    "in a loop": 'def run(engine, p):\n    return [p[name] for name in ("text",)]\n',
    "beside a loop over other names": '[p[n] for n in ("text",)]\n[q[n] for n in ("a", "b")]\n',
    "by another name": 'def run(engine, settings):\n    return settings["text"]\n',
    "in a shared module": "from llm_holes.lessons.shared.reader import read\n",
}


@pytest.mark.parametrize("code", READS.values(), ids=READS)
def test_a_control_is_read_by_the_experiment_or_by_a_shared_module_it_imports(folder: Path, code: str) -> None:
    (folder / "shared").mkdir()
    (folder / "shared/reader.py").write_text('def read(p):\n    return p["text"]\n', encoding="utf-8")
    (folder / "tier1/tokens/experiment.py").write_text(code, encoding="utf-8")
    assert not inspect(folder)[1]


@pytest.mark.parametrize(
    ("code", "file", "line", "problem"),
    [
        ("def run(engine, p):\n    pass\n", TOML, CONTROL, "the experiment does not read the control 'text'"),
        ('p["text"]\n\np["txt"]\n', None, 3, "reads the setting 'txt', which is not a control"),
        ('[p[name] for name in ("text", "txt")]\n', None, 1, "reads the setting 'txt', which is not a control"),
        ("p = {}\ndef run(:\n", None, 2, "is no Python: invalid syntax"),
    ],
)
def test_code_and_controls_that_differ_are_faults(
    folder: Path, code: str, file: str | None, line: int, problem: str
) -> None:
    (folder / "tier1/tokens/experiment.py").write_text(code, encoding="utf-8")
    (folder / "tier1/tokens/other.py").write_text('found = {}\nfound["anything"]\n', encoding="utf-8")
    assert [tuple(fault) for fault in inspect(folder)[1]] == [(file or "tier1/tokens/experiment.py", line, problem)]


def test_a_lesson_without_an_experiment_is_a_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, "tier1/no_such_lesson", DATA, TEXT)
    status, found = check(folder, capsys)
    assert (status, len(found["problems"])) == (1, 1)
    assert "has no run()" in found["problems"][0]["problem"]


def test_all_faults_of_all_files_are_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = DATA.replace(":Tokenizer", ":X").replace("below = 2", "below = 1")
    write(folder, "tier1/tokens", data, TEXT.replace("(hole:tokens)", "(hole:nowhere)"))
    write(folder, "tier1/broken", "no lesson")
    write(folder, "tier1/mute", DATA)
    (folder / "tier1/mute/lesson.md").unlink()
    (write(folder, "tier1/latin", "") / "lesson.toml").write_bytes(b"\xe9")
    status, found = check(folder, capsys)
    assert status == 1
    assert sorted(problem["file"] for problem in found["problems"]) == [
        "tier1/broken/lesson.toml",
        "tier1/latin/lesson.toml",
        "tier1/mute/lesson.md",
        MD,
        TOML,
        TOML,
    ]


def test_a_catalog_in_which_one_option_is_always_right_is_a_fault(folder: Path) -> None:
    for number in range(FEWEST):
        write(folder, f"tier2/lesson_{number}", DATA, TEXT)
    said = f"in {FEWEST + 1} of {FEWEST + 1} questions of all lessons option 1 is right"
    line = DATA.splitlines().index('question = "Which one?"') + 1
    assert [(fault.line, fault.problem) for fault in inspect(folder)[1]] == [(line, said)]


def test_a_report_for_people_has_file_line_and_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, "tier1/tokens", DATA.replace("below = 2", "below = 1"), TEXT)
    assert check_command.main(None, False, folder) == 1
    line = DATA.splitlines().index('question = "How many steps?"') + 1
    assert capsys.readouterr().out == (
        f"lessons/{TOML}:{line}: no option is right for numbers from 1 to 2\n1 lesson, 0 runs, 1 problem\n"
    )


def test_every_default_step_bet_and_preset_is_run_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Step 2 and its bet have settings of their own, and the presets change all of them."""
    status, found = check(folder, capsys, [sys.executable, str(FAKE)])
    assert (status, found["lessons"], found["runs"], found["problems"]) == (0, 1, 4, [])
    assert found["solvable"] == {
        f"case {seed} of difficulty {level}": True for level in (1, 2, 3) for seed in (1, 2, 3)
    }


def test_a_case_of_the_game_that_its_probes_do_not_solve_is_a_fault(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_command, "CASES", [UNSOLVED])
    status, found = check(folder, capsys, [sys.executable, str(FAKE)])
    assert status == 1
    assert [problem["problem"] for problem in found["problems"]] == [
        f"case {UNSOLVED} of difficulty {level} is not solved by its own probes" for level in (1, 2, 3)
    ]


def test_a_bet_that_no_preset_decides_otherwise_is_a_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, "tier1/tokens", DATA.replace('text = "one frame"', 'text = "two"'), TEXT)
    status, found = check(folder, capsys, [sys.executable, str(FAKE)])
    line = DATA.splitlines().index('question = "How many steps?"') + 1
    said = "no preset changes the answer of the bet on 'step'"
    assert (status, found["problems"]) == (1, [{"file": TOML, "line": line, "problem": said}])


def test_a_bet_on_a_number_is_decided_otherwise_by_a_number_far_from_it(folder: Path) -> None:
    data = re.sub(r"\[\[steps\.bet\.options\]\]\n(.+\n){3}", "", DATA)
    write(folder, "tier1/tokens", data, TEXT)
    (lesson,), faults = inspect(folder)
    assert not faults
    assert not list(faults_of_bets(lesson, lambda settings: {"step": 1 if settings["text"] == "one frame" else 3}))
    assert len(list(faults_of_bets(lesson, lambda settings: {"step": 3}))) == 1


def test_a_step_whose_own_run_lacks_its_picture_is_a_fault(folder: Path) -> None:
    write(folder, "tier1/tokens", DATA.replace('view = "count"', 'view = "sum"', 1), TEXT)
    (lesson,), _ = inspect(folder)
    run = [gallery(3, 3)]
    assert not list(faults_of_run(lesson, run, {1}))
    assert list(faults_of_run(lesson, run, {0, 1})) == list(faults_of_run(lesson, run))
    assert list(faults_of_run(lesson, run)) == [('"sum"', "the run shows no view 'sum'")]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("words_p", 12, "'words_p' counts something, and by its name would be read as a percentage"),
        ("found_share_by_layer", [0.5, 7], "'found_share_by_layer' counts something, and by its name"),
    ],
)
def test_a_count_that_reads_as_a_share_is_a_fault(folder: Path, name: str, value: Value, problem: str) -> None:
    (lesson,), _ = inspect(folder)
    frame = gallery(3, 3)
    assert not list(faults_of_run(lesson, [frame]))
    measured = msgspec.structs.replace(frame, measured={**frame.measured, name: value})
    assert next(found for needle, found in faults_of_run(lesson, [measured]) if needle == f'"{name}"').startswith(
        problem
    )


def test_a_long_caption_is_a_fault(folder: Path) -> None:
    (lesson,), _ = inspect(folder)
    long = msgspec.structs.replace(gallery(1, 3), caption="x" * 111)
    ((_, problem),) = faults_of_run(lesson, [long, gallery(3, 3)])
    assert problem.startswith("a caption has 111 characters, 110 fit: xxx")


def test_what_a_run_does_not_keep_is_a_problem_of_its_preset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = DATA.replace('"spread"]', '"spreads"]').replace('equals = "Paris"', 'equals = "Rome"')
    write(folder, "tier1/tokens", data, TEXT)
    status, found = check(folder, capsys, [sys.executable, str(FAKE)])
    problems = [problem["problem"] for problem in found["problems"]]
    assert status == 1
    for where in ("the default settings, step 1, step 3", "step 2, the bet of step 2", "the preset 'second', "):
        of_it = [problem for problem in problems if problem.startswith(f"with {where}")]
        assert [problem.partition(": ")[2] for problem in of_it] == [
            "'spreads' was not measured",
            "'spread' was measured, but the lesson does not publish it",
            "0 options are right where answer is 'Paris'",
        ]


def test_a_run_that_fails_is_a_problem(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fake engine crashes in a lesson of that name; it is started again for each preset."""
    (folder / "tier1/tokens").rename(folder / "tier1/crash")
    write(
        folder, "tier1/crash", DATA.replace('see_also = ["tokens"]', "see_also = []"), TEXT.replace(":tokens", ":crash")
    )
    found = check(folder, capsys, [sys.executable, str(FAKE)])[1]["problems"]
    crashes = [problem for problem in found if "SIGSEGV" in problem["problem"]]
    needles = ("title", "[[steps]]", 'name = "first"', 'name = "second"')
    lines = DATA.splitlines()
    assert [problem["line"] for problem in crashes] == [
        next(n for n, line in enumerate(lines, 1) if needle in line) for needle in needles
    ]


def test_the_command_needs_an_engine_only_to_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "command_for", lambda *_: [sys.executable, str(FAKE), "--unavailable"])
    assert cli.main(["check"]) == 0
    assert cli.main(["check", "--run"]) == 1
    assert "no fake model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("placeholder", "problem"),
    [
        ("{measured.step:.2f}", "'.2f' is no kind of number"),
        ("{measured.step:.0%}", "'.0%' is no kind of number"),
        ("{measured.step odds}", "{measured.step odds} is no placeholder"),
    ],
)
def test_a_placeholder_with_anything_but_a_kind_is_refused_where_it_is(
    folder: Path, placeholder: str, problem: str
) -> None:
    text = TEXT.replace("{measured.step}", placeholder)
    write(folder, "tier1/tokens", DATA, text)
    _, (fault,) = inspect(folder)
    assert fault.problem.startswith(problem)
    assert (fault.file, fault.line) == ("tier1/tokens/lesson.md", 1 + text[: text.index(placeholder)].count("\n"))


def test_a_kind_is_allowed(folder: Path) -> None:
    write(folder, "tier1/tokens", DATA, TEXT.replace("{measured.step}", "{measured.step:odds}"))
    assert not inspect(folder)[1]


def test_what_a_run_lacks_is_a_fault(folder: Path) -> None:
    write(folder, "tier1/tokens", DATA, TEXT)
    (lesson,), _ = inspect(folder)
    assert not list(faults_of_run(lesson, [gallery(3, 3)]))
    assert next(faults_of_run(lesson, [Frame("x")]))[1].endswith("was not measured")
    assert list(faults_of_run(lesson, [])) == [("", "the run showed nothing")]
