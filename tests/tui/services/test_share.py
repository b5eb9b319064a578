"""The file a picture is written into: where, under which name, and what is told when it cannot be."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from llm_holes.engine.frames import Text
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.state_file import state_folder
from llm_holes.tui.draw.card import Card, card_svg, card_text
from llm_holes.tui.services import share as service
from llm_holes.tui.services.share import card_of, file_name, share
from tests.support.bench import Bench

VIEW = Text("what it wrote", "Paris", key="the answer")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def card(bench: Bench, tokens: Lesson) -> Card:
    return card_of(tokens, VIEW, "Paris.", {"text": "one word"}, bench.session, "")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_card_says_what_the_picture_is_of(card: Card) -> None:
    assert card.model == "Fake-1M · float32 · llm-holes"
    assert card.command == ("llm-holes run tokens", "--set 'text=one word'")


def test_it_goes_into_the_current_folder_and_nothing_is_written_over(here: Path, card: Card, tokens: Lesson) -> None:
    (here / "tokens-the-answer-2.svg").mkdir()
    for _ in range(3):
        told, text = share(card, tokens)
    assert names(here) == [f"tokens-the-answer{n}.svg" for n in ("-2", "-3", "-4", "")]
    assert (here / "tokens-the-answer.svg").read_text(encoding="utf-8") == card_svg(card)
    assert told == "tokens-the-answer-4.svg is written; its text is copied, where the terminal allows."
    assert text == card_text(card)


def test_a_name_has_letters_and_digits_only(tokens: Lesson) -> None:
    assert file_name(tokens, Text("../../etc/passwd \n A|B", "")) == "tokens-etc-passwd-a-b"
    assert file_name(tokens, Text("…", "")) == "tokens-view"
    assert len(file_name(tokens, Text("a" * 500, ""))) < 60


def no_place(monkeypatch: pytest.MonkeyPatch, folders: set[Path], number: int) -> None:
    """Whoever opens a file in one of these folders gets this error."""
    opened = Path.open

    def fail(self: Path, *args: Any, **more: Any) -> Any:
        if self.absolute().parent in folders and self.suffix == ".svg":
            raise OSError(number, os.strerror(number), str(self))
        return opened(self, *args, **more)

    monkeypatch.setattr(Path, "open", fail)


def test_where_that_folder_cannot_be_written_it_goes_into_the_state_folder(
    here: Path, card: Card, tokens: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_place(monkeypatch, {here}, errno.EACCES)
    told, _ = share(card, tokens)
    path = state_folder() / "tokens-the-answer.svg"
    assert path.read_text(encoding="utf-8") == card_svg(card)
    assert str(path) in told
    assert names(here) == []


def test_a_folder_that_is_gone_is_no_error(here: Path, card: Card, tokens: Lesson) -> None:
    here.rmdir()
    told, _ = share(card, tokens)
    assert str(state_folder()) in told


def test_without_any_place_one_sentence_says_why_and_the_text_is_there(
    here: Path, card: Card, tokens: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_place(monkeypatch, {here, state_folder()}, errno.ENOSPC)
    told, text = share(card, tokens)
    assert told.startswith("The picture could not be written: No space left on device;")
    assert text == card_text(card)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_nothing_is_left_of_a_file_that_did_not_fit(
    here: Path, card: Card, tokens: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(self: Path, *args: Any, **more: Any) -> Any:
        opened(self, *args, **more).close()
        return open("/dev/full", "wb")

    monkeypatch.setattr(Path, "open", full)
    told, _ = share(card, tokens)
    assert "No space left on device" in told
    assert names(here) == []


def test_what_no_clipboard_takes_is_not_copied(
    here: Path, card: Card, tokens: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_COPIED", 10)
    told, text = share(card, tokens)
    assert text == ""
    assert told == "tokens-the-answer.svg is written."
