"""What a learner did, as events with ids of their own: any two records of them merge by union, and nothing is lost.

The learner's state is a fold over the events (`progress.py`, `spaced_repetition.py`). No torch, no textual.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from llm_holes.engine.frames import Value

FORMAT: Literal["llm-holes progress"] = "llm-holes progress"
VERSION = 3
"""2: the game's events. 3: bets have names, since a lesson may have several, and a place has a step."""
MAX_BYTES = 64 * 2**20

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
LATEST = 1e11
Seconds = Annotated[float, msgspec.Meta(ge=0, le=LATEST)]
"""Unix time."""

Confidence = Annotated[int, msgspec.Meta(ge=50, le=100)]
Index = Annotated[int, msgspec.Meta(ge=0, le=1000)]


class ForeignFile(ValueError):
    """The bytes are no record of progress; the message says why."""


class NewerFile(ForeignFile):
    """The record was written by a newer version of the program."""


def new_id() -> str:
    return secrets.token_hex(8)


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    lesson: Name
    id: Id = msgspec.field(default_factory=new_id)
    at: Seconds = 0.0


class Read(_Event, frozen=True, tag="read"):
    """The lesson was opened and read."""


class Ran(_Event, frozen=True, tag="ran"):
    """A run of the lesson finished."""


class Predicted(_Event, frozen=True, tag="predicted"):
    """The learner committed to an answer, the index of an option or a number, before the result was visible. `bet` is
    the measurement that decides it; in records of older versions it is empty: the lesson's first."""

    answer: float
    said: str
    confidence: Confidence
    bet: str = ""
    settings: dict[str, Value] = {}


class Skipped(_Event, frozen=True, tag="skipped"):
    """The learner went on without a prediction."""

    bet: str = ""


class Graded(_Event, frozen=True, tag="graded"):
    """What came of the prediction with that id."""

    prediction: Id
    was: str
    right: bool


class Hinted(_Event, frozen=True, tag="hinted"):
    """The learner looked at the first `count` hints of a quiz question. A question is known by its text."""

    question: str
    count: Index


class Answered(_Event, frozen=True, tag="answered"):
    """The learner answered a quiz question with that option. `right` is None if nothing could decide it."""

    question: str
    option: Index
    said: str
    right: bool | None
    was: str = ""
    confidence: Confidence | None = None


class Began(_Event, frozen=True, tag="began"):
    """A case of Find the hole was opened."""

    seed: int
    difficulty: int


class Probed(_Event, frozen=True, tag="probed"):
    """The open case was probed with a lesson, and this is what its caption said."""

    probe: Name
    saw: str


class Named(_Event, frozen=True, tag="named"):
    """The learner named the damage, or gave up, and saw the truth: the end of the case."""

    said: str
    truth: str
    score: int
    probes: int


Event = Read | Ran | Predicted | Skipped | Graded | Hinted | Answered | Began | Probed | Named


class Resume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the learner is: the lesson, its controls and the step. `pane` and `scroll` are of older versions."""

    lesson: Name
    at: Seconds = 0.0
    settings: dict[str, Value] = {}
    step: Index = 0
    pane: str = ""
    scroll: dict[str, int] = {}


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that is kept. `events` are sorted by time, then id, and no id is there twice."""

    format: Literal["llm-holes progress"] = FORMAT
    version: int = VERSION
    events: tuple[Event, ...] = ()
    resume: Resume | None = None


class _Head(msgspec.Struct, frozen=True):
    format: str
    version: int


_records = msgspec.json.Decoder(Record)
_heads = msgspec.json.Decoder(_Head)


def merged(*records: Record) -> Record:
    """The union of the events, and the latest resume point. The order of the records does not matter."""
    events: dict[str, Event] = {}
    for event in (event for record in records for event in record.events):
        kept = events.get(event.id)
        if kept is None or kept is event:
            events[event.id] = event
        elif kept != event:
            # one id means one event; should a file say otherwise, the order of merging must not matter
            events[event.id] = max(kept, event, key=_rank)
    points = [record.resume for record in records if record.resume is not None]
    return Record(events=in_order(events.values()), resume=max(points, key=_rank, default=None))


def repeats(event: Event, known: Iterable[Event]) -> bool:
    """Whether the event says nothing new: that a lesson was read or run counts once."""
    return isinstance(event, Read | Ran) and any(type(e) is type(event) and e.lesson == event.lesson for e in known)


def in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: (event.at, event.id)))


def encode(record: Record) -> bytes:
    """Raises ValueError for text or numbers that JSON cannot hold."""
    try:
        return msgspec.json.encode(record)
    except OverflowError as error:
        raise ValueError(str(error)) from None


def decode(data: bytes) -> Record:
    """The record in the bytes. Raises ForeignFile, or NewerFile."""
    if len(data) > MAX_BYTES:
        raise ForeignFile(f"it has {len(data):,} bytes; a record of progress has at most {MAX_BYTES:,}")
    try:
        head = _heads.decode(data)
        if head.format != FORMAT:
            raise ForeignFile(f"it says it is {head.format!r}, not {FORMAT!r}")
        if head.version > VERSION:
            raise NewerFile(f"it was written by a newer llm-holes (version {head.version} of the file, here {VERSION})")
        record = _records.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignFile(f"it is no record of progress: {error}") from None
    return merged(record)


def _rank(item: Event | Resume) -> tuple[float, bytes]:
    return item.at, msgspec.json.encode(item)
