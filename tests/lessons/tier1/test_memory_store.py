"""The memory on disk: kept, edited by others, forgotten, damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llm_holes.engine.errors import InputError
from llm_holes.lessons.tier1.memory.memory_store import FIRST, MAX_CHARACTERS, MAX_MEMORIES, MemoryStore


def edit(store: MemoryStore, *statements: str) -> None:
    with closing(sqlite3.connect(store.path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_what_is_added_is_there_again_and_only_once(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "new" / "folder")
    for _ in range(2):
        store.add("My dog is called Waffle.")
    again = MemoryStore(store.path.parent)
    assert again.all() == [*FIRST, "My dog is called Waffle."]
    assert again.notice == ""


def test_whoever_edits_the_file_changes_the_memory(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    edit(
        store, "UPDATE memories SET text = 'I live in Oslo.' WHERE id = 1", "INSERT INTO memories (text) VALUES (x'ff')"
    )
    assert store.all()[0] == "I live in Oslo."
    assert len(store.all()) == len(FIRST), "what is no text is left out"


def test_forgetting_deletes_what_contains_the_words(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.add("100 % of it')--")
    assert store.forget("%") == 1, "no wildcard"
    assert store.forget("I PLAY") == 1
    assert MemoryStore(tmp_path).all() == [text for text in FIRST if "play" not in text]
    assert store.forget("nothing like it") == 0


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be read as one" * 20, None])
def test_a_damaged_file_is_set_aside_and_said_so(tmp_path: Path, content: bytes | None) -> None:
    store = MemoryStore(tmp_path)
    if content is None:
        edit(store, "DROP TABLE memories", "CREATE TABLE memories (other INTEGER)")
        content = store.path.read_bytes()
    else:
        store.path.write_bytes(content)
    new = MemoryStore(tmp_path)
    aside = tmp_path / "memory.damaged-1.db"
    assert aside.read_bytes() == content
    assert aside.name in new.notice
    assert new.all() == list(FIRST)


def test_a_file_in_use_is_said_so_and_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_holes.lessons.tier1.memory.memory_store.WAIT_SECONDS", 0)
    store = MemoryStore(tmp_path)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="another program"):
            store.add("x")
        with pytest.raises(InputError, match="another program"):
            MemoryStore(tmp_path)
    assert store.all() == list(FIRST)


def test_too_much_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    with pytest.raises(InputError, match="2,000"):
        store.add("x" * (MAX_CHARACTERS + 1))
    edit(store, f"INSERT INTO memories (text) VALUES ('{'y' * 3000}')")
    with pytest.raises(InputError, match="3,000"):
        store.all()
    store.forget("yyy")
    for n in range(MAX_MEMORIES):
        edit(store, f"INSERT INTO memories (text) VALUES ('{n} of many')")
    with pytest.raises(InputError, match="more than"):
        store.all()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        MemoryStore(tmp_path / "file" / "inside")
