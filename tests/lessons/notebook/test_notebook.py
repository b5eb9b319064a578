"""The lab notebook keeps every run as it was, and shows foreign text as text."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import pytest

from llm_holes.engine.frames import Frame, Text
from llm_holes.lessons.learner.events import ForeignFile
from llm_holes.lessons.notebook import notebook
from llm_holes.lessons.notebook.notebook import (
    FILE,
    Drawn,
    Entry,
    append,
    entry_of,
    from_json,
    read,
    seal_holds,
    to_json,
    to_markdown,
)
from llm_holes.tui.draw.sanitize import clean
from tests.support.fake_engine import MODEL, gallery

EVIL = "a|b `c` ``` \x1b[31m \u202e\n# no heading"


def entry(seed: int = 7) -> Entry:
    frames = [
        Frame("one", progress=0.5),
        Frame("two", (Text("answer", EVIL),), {"n": 3, "x": 0.1, "answer": EVIL, "nan": math.nan, "ids": [1, 2]}),
    ]
    views = [Drawn("drawn\n```\n" + EVIL, "<svg/>"), Drawn("plain")]
    settings = {"text": EVIL, "seed": seed}
    return entry_of(
        "tokens", "What is a token?", settings, frames, MODEL, {"torch": "2.13"}, 12.5, 1_800_000_000, views
    )


def test_an_entry_holds_all_that_a_run_was_made_with() -> None:
    found = entry()
    assert found.time == "2027-01-15T08:00:00+00:00"
    assert found.model is not None
    assert (found.model.name, found.model.sha256) == (MODEL.name, MODEL.sha256)
    assert found.captions == ("one", "two")
    assert found.settings["seed"] == 7
    assert found.measured == {"n": 3, "x": 0.1, "answer": EVIL, "nan": None, "ids": [1, 2]}
    assert seal_holds(found)


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    entries = tuple(entry(seed) for seed in range(3))
    assert [append(one, tmp_path) for one in entries] == ["", "", ""]
    assert read(tmp_path) == (entries, ())
    assert (tmp_path / FILE).read_bytes().count(b"\n") == 3
    assert from_json(to_json(entries).encode()) == entries
    assert all(map(seal_holds, from_json(to_json(entries).encode())))


def test_no_notebook_is_an_empty_one(tmp_path: Path) -> None:
    assert read(tmp_path / "nowhere") == ((), ())


def test_half_a_line_of_a_killed_process_costs_only_itself(tmp_path: Path) -> None:
    append(entry(1), tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole[:100])
    append(entry(2), tmp_path)
    entries, notices = read(tmp_path)
    assert [one.settings["seed"] for one in entries] == [1, 2]
    assert len(notices) == 1
    assert notices[0].startswith(f"{FILE}:2: skipped")


@pytest.mark.parametrize("line", [b"\xff", b"[]", b'{"lesson": 3}', b"[" * 100_000])
def test_a_line_that_is_no_entry_is_skipped_and_kept(tmp_path: Path, line: bytes) -> None:
    (tmp_path / FILE).write_bytes(line + b"\n")
    append(entry(), tmp_path)
    entries, notices = read(tmp_path)
    assert (len(entries), len(notices)) == (1, 1)
    assert (tmp_path / FILE).read_bytes().startswith(line + b"\n")


def test_an_entry_of_a_newer_version_is_skipped(tmp_path: Path) -> None:
    append(msgspec.structs.replace(entry(), version=2), tmp_path)
    assert "newer llm-holes" in read(tmp_path)[1][0]


def test_what_cannot_be_saved_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "was not added" in append(entry(), tmp_path / "file")
    surrogate = msgspec.structs.replace(entry(), settings={"text": "\ud800"})
    assert "was not added" in append(surrogate, tmp_path)


def test_every_change_breaks_the_seal() -> None:
    found = entry()
    for name, value in {
        "lesson": "attention",
        "settings": {**found.settings, "seed": 8},
        "measured": {**found.measured, "x": 0.10000000000000002},
        "captions": ("one",),
        "versions": {},
        "ms": 12.6,
    }.items():
        assert not seal_holds(msgspec.structs.replace(found, **{name: value})), name


def test_json_is_ascii_and_strict() -> None:
    text = to_json([entry()])
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text, parse_constant=pytest.fail)["format"] == "llm-holes notebook"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": "x", "version": 1, "entries": []}', b"\xff"])
def test_something_else_is_no_export(data: bytes) -> None:
    with pytest.raises(ForeignFile):
        from_json(data)


def test_markdown_shows_foreign_text_as_text() -> None:
    text = to_markdown([entry()], clean)
    lines = text.splitlines()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert [line for line in lines if line.startswith("#")] == [
        "# Lab notebook",
        "## What is a token? (`tokens`)",
        "# no heading",
    ]
    assert inside_a_fence(lines, "# no heading")
    assert inside_a_fence(lines, "two")
    cells = [line for line in lines if line.startswith("| answer |")]
    assert len(cells) == 1
    assert cells[0].count("|") - cells[0].count("\\|") == 3
    assert "data:image/svg+xml;base64,PHN2Zy8+" in text
    assert MODEL.sha256 in text


def inside_a_fence(lines: list[str], wanted: str) -> bool:
    fence = ""
    for line in lines:
        if line == wanted:
            return bool(fence)
        if line and set(line) == {"`"}:
            fence = "" if line == fence else fence or line
    return False


def test_the_gallery_of_all_views_makes_an_entry() -> None:
    frames = [gallery(step, 3) for step in (1, 2, 3)]
    found = entry_of("tokens", "t", {}, frames, None, {}, 0.0, 0.0)
    assert found.measured == {"step": 3, "ms_per_token": 12.5, "answer": "Paris", "spread": None}
    assert notebook.entry_of("tokens", "t", {}, [], None, {}, 0.0, 0.0).measured == {}
