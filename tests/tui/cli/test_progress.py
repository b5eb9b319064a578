"""`llm-holes progress`: shown, carried to another machine, and back."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.learner.events import Answered, Graded, Predicted, Read
from llm_holes.lessons.learner.progress import FILE, Progress
from llm_holes.tui.cli import main as cli

FRONT = catalog.load()["tokens"].data
assert FRONT is not None


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state of somebody who has answered every question of one lesson, ten years ago."""
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path / "state"))
    progress = Progress.open(now=lambda: 1_500_000_000)
    for question in FRONT.quiz:
        progress.record(Answered(lesson="tokens", question=question.question, option=0, said="\x1b[2J", right=True))
    made = progress.record(Predicted(lesson="attention", answer=0, said="a", confidence=80))
    progress.record(Graded(lesson="attention", prediction=made.id, was="0.5", right=False))
    progress.record(Read(lesson="kv-cache"))
    return tmp_path / "state"


def test_progress_as_text(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["progress"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 of ")
    assert "holes passed, 1 run, 3 read." in out
    assert "passed  What is a token?" in out
    assert f"Questions to review now: {len(FRONT.quiz)}; later: 0." in out
    assert "said 80 %: right 0 of 1" in out
    assert "Brier score 0.64" in out


def test_progress_as_json(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["progress", "--json"]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    found = json.loads(captured.out)
    assert found["lessons"]["tokens"] == "passed"
    assert found["lessons"]["attention"] == found["lessons"]["kv-cache"] == "read"
    assert found["totals"]["passed"] == 1
    assert [item["question"] for item in found["due"]] == [question.question for question in FRONT.quiz]
    assert len(found["events"]) == len(FRONT.quiz) + 3


def test_export_and_import(
    state: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = tmp_path / "out.json"
    assert cli.main(["progress", "export", str(exported)]) == 0
    assert cli.main(["progress", "export", "-"]) == 0
    assert capfdbinary.readouterr().out == exported.read_bytes()
    events = Progress.open().events
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path / "other"))
    assert cli.main(["progress", "import", str(exported)]) == 0
    assert Progress.open().events == events
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(exported.read_bytes())))
    assert cli.main(["progress", "import", "-"]) == 0
    assert capfdbinary.readouterr().out.decode().splitlines() == [f"{len(events)} new entries.", "0 new entries."]


def test_an_import_of_something_else_is_status_2(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = state / "other.json"
    other.write_text('{"format": "vim", "version": 1}')
    for file in (other, state / "missing"):
        assert cli.main(["progress", "import", str(file)]) == 2
        assert file.name in capsys.readouterr().err


def test_a_damaged_file_is_told_and_status_1(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / FILE).write_text("{")
    assert cli.main(["progress"]) == 1
    captured = capsys.readouterr()
    assert "progress.damaged-1.json" in captured.err
    assert "holes passed" in captured.out
    assert cli.main(["progress"]) == 0


def test_an_export_that_cannot_be_written_is_status_1(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["progress", "export", str(state)]) == 1
    assert "directory" in capsys.readouterr().err


def test_the_learners_records_load_nothing_heavy() -> None:
    modules = "progress, replay, check, notebook"
    heavy = "{'textual', 'torch', 'transformers', 'tiktoken', 'numpy'}"
    code = f"import sys\nfrom llm_holes.tui.cli import {modules}\nprint(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
