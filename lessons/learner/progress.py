"""The learner's progress: kept in one file, shared by all instances, and never in the way of the app.

No torch, no textual. Nothing here raises because of the disk: what cannot be saved is kept in memory, with one notice.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.learner.events import (
    LATEST,
    Event,
    ForeignFile,
    NewerFile,
    Record,
    Resume,
    decode,
    encode,
    merged,
    repeats,
)
from llm_holes.lessons.learner.mastery import LessonState, Totals, standing, totals
from llm_holes.lessons.state_file import locked, no_file_aside, previous, replace, set_aside, state_folder, sweep

FILE = "progress.json"
TICK = 1e-6
CLOCK_STEP = 60.0
"""A clock that is set back by less than this, in seconds, does not change the order of events."""

Timed = TypeVar("Timed", bound=msgspec.Struct)
Signature = tuple[int, int, int]


class Progress:
    """The record of one learner. Made by `open`; safe to use from any thread.

    Attributes:
        path: the file.
        now: the clock, in Unix seconds.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.path = path
        self.now = now
        self._record = self._on_disk = Record()
        self._seen: Signature | None = None
        self._notices: list[str] = []
        self._failing = self._swept = False
        self._mutex = threading.Lock()

    @classmethod
    def open(cls, folder: Path | None = None, now: Callable[[], float] = time.time) -> Progress:
        """The progress in the folder (the learner's state directory). Never raises: see `take_notice`."""
        progress = cls((folder or state_folder()) / FILE, now)
        progress.save()
        return progress

    @property
    def events(self) -> tuple[Event, ...]:
        """All events, oldest first."""
        return self._record.events

    @property
    def resume(self) -> Resume | None:
        return self._record.resume

    def lesson(self, lesson: Lesson) -> LessonState:
        return standing(lesson, self.events)

    def totals(self, catalog: Catalog) -> Totals:
        return totals(catalog, self.events)

    def take_notice(self) -> str:
        """What the learner must be told, "" if nothing; told once."""
        notices, self._notices = self._notices, []
        return " ".join(notices)

    def record(self, event: Event) -> Event:
        """Adds the event, dated now unless it has a date, and saves. Returns it as it was recorded.

        That a lesson was read or run is recorded once.
        """
        with self._mutex:
            event = self._dated(event)
            if not repeats(event, self.events):
                self._add(Record(events=(event,)))
        return event

    def leave_at(self, point: Resume) -> None:
        """Records where the learner is, for the next start: later than any place known here, even if the clock was set
        back since."""
        with self._mutex:
            left = self.resume.at if self.resume is not None and not point.at else 0.0
            point = self._dated(point)
            if point.at <= left:
                point = msgspec.structs.replace(point, at=min(math.nextafter(left, math.inf), LATEST))
            self._add(Record(resume=point))

    def save(self) -> bool:
        """Merges with what other instances saved and writes what is new; whether all is on disk."""
        with self._mutex:
            return self._save()

    def export(self) -> bytes:
        """Everything as one file for `import_`, also on another machine."""
        self.save()
        return msgspec.json.format(encode(self._record), indent=1) + b"\n"

    def import_(self, data: bytes) -> int:
        """Merges an export into this progress; returns how many events were new. Raises ForeignFile."""
        foreign = decode(data)
        with self._mutex:
            before = len(self.events)
            self._add(foreign)
            return len(self.events) - before

    def _dated(self, item: Timed) -> Timed:
        """The item with a date, after all that was recorded before it in the same moment."""
        now = self.now()
        last = self.events[-1].at if self.events else 0.0
        if 0 <= last - now < CLOCK_STEP:
            now = last + TICK
        return item if getattr(item, "at", 0.0) else msgspec.structs.replace(item, at=now)

    def _add(self, record: Record) -> None:
        try:
            encode(record)
        except ValueError as error:
            self._notices.append(f"This could not be recorded: {error}.")
            return
        self._record = merged(self._record, record)
        self._save()

    def _save(self) -> bool:
        try:
            with locked(self.path):
                on_disk = self._load()
                self._record = merged(self._record, on_disk)
                if self._record != on_disk:
                    replace(self.path, encode(self._record))
                self._on_disk, self._seen = self._record, self._signature()
        except OSError as error:
            if not self._failing:
                reason = error.strerror or str(error)
                kept = "It is kept until you quit."
                self._notices.append(f"Progress cannot be saved in {self.path.parent}: {reason}. {kept}")
            self._failing = True
            return False
        self._failing = False
        return True

    def _load(self) -> Record:
        """What is on disk now. A file that cannot be used is set aside, and the version before it taken."""
        if not self._swept:
            sweep(self.path.parent, FILE)
            self._swept = True
        signature = self._signature()
        if signature == self._seen:
            return self._on_disk
        if signature is None:
            return Record()
        if notice := no_file_aside(self.path):
            self._notices.append(notice)
            return self._load_previous()
        try:
            return decode(self.path.read_bytes())
        except ForeignFile as error:
            newer = isinstance(error, NewerFile)
            aside = set_aside(self.path, "newer" if newer else "damaged")
            self._notices.append(f"Your progress could not be read: {error}. It is kept as {aside}.")
            return self._load_previous()

    def _load_previous(self) -> Record:
        no_file_aside(previous(self.path))
        try:
            record = decode(previous(self.path).read_bytes())
        except (ForeignFile, OSError):
            self._notices.append("Progress starts anew.")
            return Record()
        self._notices.append("Progress goes on from the version saved before it.")
        # not what the file holds, as there is none: it is to be written again
        self._record = merged(self._record, record)
        return Record()

    def _signature(self) -> Signature | None:
        """What changes with every replacement of the file; None where there is no file."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size
