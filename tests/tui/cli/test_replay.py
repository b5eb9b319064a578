"""A recorded run is made again: what is the same, what is not, and what cannot be. A doctored record is caught."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_holes.engine.ipc import client
from llm_holes.lessons.learner.events import ForeignFile
from llm_holes.lessons.notebook.notebook import Entry, Model, sealed, to_json
from llm_holes.lessons.notebook.replay import changed_settings, compare, doubts, read_transcript
from llm_holes.tui.cli import main as cli
from tests.support.fake_engine import MODEL
from tests.support.paths import SUPPORT

FAKE = SUPPORT / "fake_engine.py"


def verdict(name: str, before: Any, after: Any) -> str:
    (found,) = compare({name: before}, {name: after})
    return found.verdict


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (3, 3),
        ("Paris", "Paris"),
        (True, True),
        (None, None),
        ([1, 2], [1, 2]),
        ({"a": 1}, {"a": 1}),
        (1.0, 1.0009),
        (1000, 1000.5),
        ([0.1, 1e-12], [0.10009, 1e-12]),
        ({"a": 0.5}, {"a": 0.5004}),
        (0.0, 0.0),
    ],
)
def test_what_agrees_is_reproduced(before: Any, after: Any) -> None:
    assert verdict("x", before, after) == verdict("x", after, before) == "reproduced"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (3, 4),
        (1000, 1001),
        ("Paris", "paris"),
        (True, False),
        (True, 1),
        (0.5, None),
        ([1, 2], [1, 3]),
        ([1], [1, 2]),
        (1.0, 1.0011),
        (1e-6, 1.1e-6),
        (0.0, 1e-9),
        ([0.1], [0.11]),
        ({"a": 1}, {"b": 1}),
        (-0.5, 0.5),
        ("3", 3),
    ],
)
def test_what_does_not_agree_differs(before: Any, after: Any) -> None:
    assert verdict("x", before, after) == verdict("x", after, before) == "differs"


@pytest.mark.parametrize("name", ["decode_ms", "decode_ms_with_cache_spread", "tokens_per_s", "speedup", "ms"])
def test_times_are_shown_and_not_judged(name: str) -> None:
    (found,) = compare({name: 40.0}, {name: 99.0})
    assert (found.verdict, found.before, found.after, found.difference) == ("not comparable", 40.0, 99.0, 59.0)


@pytest.mark.parametrize("name", ["items", "systems", "forms", "speedups_by_name", "p_end_per_step"])
def test_names_that_only_look_like_times_are_judged(name: str) -> None:
    assert verdict(name, 1, 2) == "differs"


def test_rounding_errors_agree_as_long_as_they_are_small() -> None:
    assert verdict("logits_max_abs_diff", 2e-5, 7e-6) == "reproduced"
    assert verdict("logits_max_abs_diff", 2e-5, 0.2) == "differs"


def test_a_claim_the_program_does_not_measure_differs_and_a_new_measurement_does_not() -> None:
    gone, new = compare({"gone": 1}, {"new": 2})
    assert (gone.verdict, new.verdict) == ("differs", "not comparable")


@settings(max_examples=100, derandomize=True)
@given(st.integers(10**3, 10**9), st.integers(0, 2), st.integers(1, 9))
def test_one_changed_digit_among_the_first_three_is_caught(number: int, place: int, change: int) -> None:
    digits = str(number)
    changed = digits[:place] + str((int(digits[place]) + change) % 10) + digits[place + 1 :]
    for scale in (1, 1e-12):
        before, after = int(changed) * scale, number * scale
        assert verdict("x", before, after) == "differs"


def record(**changes: Any) -> Entry:
    """What the fake engine shows, as an honest record."""
    honest = Entry(
        lesson="tokens",
        settings={"text": "a"},
        measured={"step": 3, "ms_per_token": 9.9, "answer": "Paris", "spread": None},
        model=Model(MODEL.name, MODEL.sha256, MODEL.dtype),
        versions={"msgspec": msgspec.__version__},
    )
    return sealed(msgspec.structs.replace(honest, **changes))


def test_another_model_another_version_and_a_broken_seal_are_said_first() -> None:
    assert doubts(record(), MODEL, record().versions) == []
    other = record(model=Model("Other", "f" * 64))
    assert "Another model" in doubts(other, MODEL, {})[0]
    assert "bf16" in doubts(record(model=Model(MODEL.name, MODEL.sha256, "bf16")), MODEL, {})[0]
    assert doubts(record(versions={"torch": "2.12"}), MODEL, {"torch": "2.13"}) == [
        "Other versions: torch 2.12 → 2.13."
    ]
    assert "changed after the run" in doubts(msgspec.structs.replace(record(), ms=3.0), MODEL, record().versions)[0]
    assert "does not say which model" in doubts(record(model=None), MODEL, record().versions)[0]


def test_settings_that_are_not_the_recorded_ones_are_said() -> None:
    assert changed_settings(record(), {"text": "a"}) == []
    assert len(changed_settings(record(), {"text": "b", "seed": 1})) == 2
    assert changed_settings(record(), {"text": "b"}) == ["The setting text was 'a' and is 'b'."]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"hello", b"\xff\xfe", b'{"format": "llm-holes progress"}'])
def test_a_file_without_runs_is_no_transcript(data: bytes) -> None:
    with pytest.raises(ForeignFile):
        read_transcript(data, "x")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "command_for", lambda *_: [sys.executable, str(FAKE)])


def replay(tmp_path: Path, *entries: Entry) -> tuple[int, Path]:
    path = tmp_path / "transcript.json"
    path.write_text(to_json(entries))
    return cli.main(["replay", "--json", str(path)]), path


@pytest.mark.usefixtures("engine")
def test_an_honest_record_is_reproduced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path, record(), record())[0] == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"reproduced": 6, "not comparable": 2}
    assert found["reproduced"] is True
    assert [entry["doubts"] for entry in found["entries"]] == [[], []]


DOCTORED = {
    "a digit": {"measured": {**record().measured, "step": 4}},
    "a word": {"measured": {**record().measured, "answer": "Paaris"}},
    "a number made of nothing": {"measured": {**record().measured, "spread": 0.5}},
    "one more claim": {"measured": {**record().measured, "tokens": 3}},
}


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("changes", DOCTORED.values(), ids=DOCTORED)
def test_a_doctored_record_is_caught_even_with_a_new_seal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    assert replay(tmp_path, record(), record(**changes))[0] == 1
    found = json.loads(capsys.readouterr().out)
    assert [entry["reproduced"] for entry in found["entries"]] == [True, False]
    assert found["counts"]["differs"] == 1


@pytest.mark.usefixtures("engine")
def test_a_doctored_time_is_caught_by_the_seal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faster = {**record().measured, "ms_per_token": 1.0}
    assert replay(tmp_path, msgspec.structs.replace(record(), measured=faster))[0] == 1
    (found,) = json.loads(capsys.readouterr().out)["entries"]
    assert "changed after the run" in found["doubts"][0]
    assert {m["name"]: m["verdict"] for m in found["measurements"]}["ms_per_token"] == "not comparable"


@pytest.mark.usefixtures("engine")
def test_the_report_says_doubts_first_and_shows_both_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = record(model=Model("Other\x1b[2J", "f" * 64), measured={**record().measured, "step": 30})
    path = tmp_path / "t.json"
    path.write_text(to_json([changed]))
    assert cli.main(["replay", str(path)]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.index("Another model") < out.index("step")
    line = next(line for line in out.splitlines() if "step" in line)
    assert line.split() == ["differs", "step", "30", "→", "3", "(-27)"]
    assert "2 reproduced, 1 differs, 1 not comparable." in out
    assert "0.1 %" in out


@pytest.mark.usefixtures("engine")
def test_a_run_printed_as_json_is_a_transcript(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["run", "tokens", "--json"]) == 0
    printed = capsys.readouterr().out
    path = tmp_path / "run.json"
    path.write_text(printed)
    assert cli.main(["replay", str(path)]) == 0
    path.write_text(printed.replace('"answer": "Paris"', '"answer": "Pariz"'))
    assert cli.main(["replay", str(path)]) == 1
    assert "Pariz" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(printed.encode())))
    assert cli.main(["replay", "-"]) == 0


@pytest.mark.usefixtures("engine")
def test_a_kept_run_is_in_the_notebook_and_can_be_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_HOLES_STATE", str(tmp_path))
    assert cli.main(["notebook"]) == 0
    assert "--keep" in capsys.readouterr().out
    assert cli.main(["run", "tokens", "--set", "text=hello", "--keep"]) == 0
    assert cli.main(["replay", str(tmp_path / "notebook.jsonl")]) == 0
    for form, wanted in (("--json", '"hello"'), ("--markdown", "## What is a token?")):
        out = tmp_path / "out"
        assert cli.main(["notebook", form, "--out", str(out)]) == 0
        assert wanted in out.read_text(encoding="utf-8")
    assert cli.main(["notebook", "--json", "--out", str(tmp_path / "book.json")]) == 0
    assert cli.main(["replay", str(tmp_path / "book.json")]) == 0


@pytest.mark.usefixtures("engine")
def test_a_damaged_line_is_not_passed_over_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notebook.jsonl"
    path.write_bytes(msgspec.json.encode(record()) + b"\n{half\n")
    assert cli.main(["replay", str(path)]) == 1
    captured = capsys.readouterr()
    assert ":2: skipped" in captured.err
    assert "3 reproduced, 0 differs" in captured.out


@pytest.mark.usefixtures("engine")
def test_a_run_that_fails_is_told_and_the_others_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`broken` fails, `crash` takes the engine with it."""
    assert replay(tmp_path, record(lesson="broken"), record(lesson="crash"), record())[0] == 1
    found = json.loads(capsys.readouterr().out)["entries"]
    assert [bool(entry["error"]) for entry in found] == [True, True, False]
    assert "SIGSEGV" in found[1]["error"]
    assert found[2]["reproduced"] is True


def test_a_bad_file_is_status_2_and_needs_no_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad").write_text("hello")
    for name in ("bad", "missing"):
        assert cli.main(["replay", str(tmp_path / name)]) == 2
        assert name in capsys.readouterr().err


def test_no_engine_is_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "command_for", lambda *_: [sys.executable, str(FAKE), "--unavailable"])
    assert replay(tmp_path, record())[0] == 1
