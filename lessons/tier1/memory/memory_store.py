"""A memory on disk: one SQLite table of sentences that the learner can open and edit. Torch-free.

The text is data: whoever reads it must not take anything in it for an instruction or a control token.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from llm_holes.engine.errors import InputError
from llm_holes.lessons.state_file import no_file_aside, set_aside

FILE = "memory.db"
MAX_MEMORIES = 200
MAX_CHARACTERS = 2_000
WAIT_SECONDS = 2.0
TABLE = "CREATE TABLE IF NOT EXISTS memories (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)"
UNUSABLE = {
    sqlite3.SQLITE_BUSY: "another program is using it",
    sqlite3.SQLITE_LOCKED: "another program is using it",
    sqlite3.SQLITE_READONLY: "it may not be written",
    sqlite3.SQLITE_PERM: "it may not be read",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk fails",
}
FIRST = (
    "I am allergic to peanuts.",
    "I play the violin.",
    "I work as a baker.",
    "My favourite colour is green.",
    "My car is old and blue.",
    "I was born in March.",
    "My brother lives in Canada.",
)
"""What a new store begins with, so that there is something to tell apart."""


class MemoryStore:
    """The memories in `folder`; `notice` says what the learner must know about the file, "" if nothing.

    Every method may raise InputError where the file cannot be used just now. A file that is no store of memories, or a
    damaged one, is set aside and a new one begun.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made: {error.strerror}", "Set LLM_HOLES_STATE to a folder.") from None
        self.notice = no_file_aside(self.path)
        try:
            self._begin()
        except sqlite3.DatabaseError:
            aside = set_aside(self.path, "damaged")
            self.notice = f"{self.path.name} was no store of memories; it is now {aside.name}, and a new one was begun."
            self._begin()

    def all(self) -> list[str]:
        """The memories, oldest first. Raises InputError if there are more than MAX_MEMORIES, or a longer one than
        MAX_CHARACTERS."""
        with self._open() as connection:
            rows = connection.execute("SELECT text FROM memories ORDER BY id LIMIT ?", (MAX_MEMORIES + 1,)).fetchall()
        texts = [text for (text,) in rows if isinstance(text, str) and text.strip()]
        if len(rows) > MAX_MEMORIES:
            raise InputError(f"{self.path} holds more than {MAX_MEMORIES} memories", "Delete some of its rows.")
        if long := next((text for text in texts if len(text) > MAX_CHARACTERS), ""):
            raise InputError(f"a memory has {len(long):,} characters: {long[:40]}…", f"At most {MAX_CHARACTERS:,}.")
        return texts

    def add(self, text: str) -> None:
        """Remembers the text; one that is there already stays where it is."""
        if len(text) > MAX_CHARACTERS:
            raise InputError(f"a memory may have {MAX_CHARACTERS:,} characters, not {len(text):,}", "Shorten it.")
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO memories (text) VALUES (?)", (text,))

    def forget(self, part: str) -> int:
        """Deletes every memory that contains `part`, whatever its case; returns how many."""
        wanted = part.casefold()
        with self._open() as connection:
            rows = connection.execute("SELECT id, text FROM memories").fetchall()
            gone = [(i,) for i, text in rows if isinstance(text, str) and wanted in text.casefold()]
            connection.executemany("DELETE FROM memories WHERE id = ?", gone)
        return len(gone)

    def _begin(self) -> None:
        with self._open() as connection:
            if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("damaged")
            new = not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'memories'").fetchone()
            connection.execute(TABLE)
            connection.execute("SELECT id, text FROM memories LIMIT 1")
            if new:
                connection.executemany("INSERT INTO memories (text) VALUES (?)", [(text,) for text in FIRST])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=WAIT_SECONDS)) as connection, connection:
                connection.text_factory = lambda data: data.decode("utf-8", "replace")
                yield connection
        except sqlite3.DatabaseError as error:
            why = UNUSABLE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
            if why is None:
                raise
            raise InputError(f"{self.path}: {why}", "Close what uses it, or set LLM_HOLES_STATE elsewhere.") from None
