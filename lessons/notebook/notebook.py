"""The lab notebook: one line of JSON per run, appended and never changed. No torch, no textual."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from llm_holes.engine.frames import Frame, Scalar, Value
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.engine.numbers import measurement
from llm_holes.lessons.learner.events import ForeignFile, new_id
from llm_holes.lessons.state_file import append_line, no_file_aside, state_folder

FILE = "notebook.jsonl"
FORMAT: Literal["llm-holes notebook"] = "llm-holes notebook"
VERSION = 1

Recorded = None | Scalar | list[Scalar | None] | dict[str, Scalar | None]
"""A measurement as JSON holds it: NaN is null."""


class Model(msgspec.Struct, frozen=True):
    """The model a run was made with. `sha256` is that of its weights."""

    name: str
    sha256: str
    dtype: str = ""
    threads: int = 0
    weight_format: str = ""


class Drawn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A view of the last frame as the front end drew it."""

    text: str
    svg: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run: what it was made with, and what it showed.

    Attributes:
        time: ISO 8601, UTC.
        versions: of the program (`llm-holes`), Python and the libraries.
        settings: all settings of the run, the seed and the surgery included.
        captions: of the frames, in order.
        seal: `sealed` sets it to a hash of all the rest, so that a slip of the hand in a transcript is noticed.
    """

    lesson: str
    settings: dict[str, Value]
    measured: dict[str, Recorded]
    model: Model | None = None
    versions: dict[str, str] = {}
    captions: tuple[str, ...] = ()
    views: tuple[Drawn, ...] = ()
    title: str = ""
    time: str = ""
    ms: float = 0.0
    id: str = ""
    version: int = VERSION
    seal: str = ""


class _Book(msgspec.Struct, frozen=True):
    format: Literal["llm-holes notebook"]
    version: int
    entries: tuple[Entry, ...]


def entry_of(
    lesson: str,
    title: str,
    settings: Mapping[str, Value],
    frames: Sequence[Frame],
    model: ModelInfo | None,
    versions: Mapping[str, str],
    ms: float,
    now: float,
    views: Iterable[Drawn] = (),
) -> Entry:
    """The entry for a finished run; `now` is Unix time, `views` what the front end drew of the last frame."""
    made_with = Model(model.name, model.sha256, model.dtype, model.threads, model.weight_format) if model else None
    entry = Entry(
        lesson=lesson,
        title=title,
        settings=dict(settings),
        measured=plain(frames[-1].measured) if frames else {},
        model=made_with,
        versions=dict(versions),
        captions=tuple(frame.caption for frame in frames),
        views=tuple(views),
        time=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        ms=ms,
        id=new_id(),
    )
    return sealed(entry)


def sealed(entry: Entry) -> Entry:
    return msgspec.structs.replace(entry, seal=_seal(entry))


def seal_holds(entry: Entry) -> bool:
    """Whether nothing was changed since the entry was sealed; true for one that never was."""
    return not entry.seal or entry.seal == _seal(entry)


def append(entry: Entry, folder: Path | None = None) -> str:
    """Adds the entry to the notebook. Returns what the learner must be told, "" if it is saved. Never raises."""
    path = (folder or state_folder()) / FILE
    try:
        append_line(path, msgspec.json.encode(entry))
    except (OSError, ValueError, OverflowError) as error:
        return f"The run was not added to the notebook {path}: {getattr(error, 'strerror', None) or error}."
    return ""


def read(folder: Path | None = None) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries, oldest first, and a notice for each line that is none. An absent notebook is an empty one. Raises
    OSError if it cannot be read."""
    path = (folder or state_folder()) / FILE
    if notice := no_file_aside(path):
        return (), (notice,)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return (), ()
    return parse_lines(data, FILE)


def parse_lines(data: bytes, name: str) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    entries: list[Entry] = []
    notices: list[str] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            entries.append(_entry(line))
        except ForeignFile as error:
            notices.append(f"{name}:{number}: skipped: {error}")
    return tuple(entries), tuple(notices)


def to_json(entries: Iterable[Entry]) -> str:
    """The export that `from_json` reads: ASCII, so that no text in it can steer a terminal."""
    book = {"format": FORMAT, "version": VERSION, "entries": msgspec.to_builtins(tuple(entries))}
    return json.dumps(book, allow_nan=False, indent=1)


def from_json(data: bytes) -> tuple[Entry, ...]:
    """The entries of an export. Raises ForeignFile."""
    try:
        book = msgspec.json.decode(data, type=_Book)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignFile(f"it is no export of a notebook: {error}") from None
    if book.version > VERSION:
        raise ForeignFile(f"it was written by a newer llm-holes (version {book.version} of the file, here {VERSION})")
    return book.entries


def to_markdown(entries: Iterable[Entry], clean: Callable[[str], str]) -> str:
    """The entries as a document. `clean` makes foreign text safe to show."""
    return "# Lab notebook\n" + "".join(f"\n{_section(entry, clean)}" for entry in entries)


def _entry(line: bytes) -> Entry:
    try:
        entry = msgspec.json.decode(line, type=Entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForeignFile(f"no entry of a notebook: {error}") from None
    if entry.version > VERSION:
        raise ForeignFile(f"written by a newer llm-holes (version {entry.version} of the entry, here {VERSION})")
    return entry


def plain(measured: Mapping[str, Value]) -> dict[str, Recorded]:
    """The measurements as they come back from a file."""
    return msgspec.json.decode(msgspec.json.encode(measured), type=dict[str, Recorded])


def _seal(entry: Entry) -> str:
    content = msgspec.json.encode(msgspec.structs.replace(entry, seal=""), order="deterministic")
    return hashlib.sha256(content).hexdigest()


def _section(entry: Entry, clean: Callable[[str], str]) -> str:
    model = f"{entry.model.name}, {entry.model.dtype}, sha256 {entry.model.sha256}" if entry.model else "not recorded"
    versions = ", ".join(f"{name} {version}" for name, version in entry.versions.items()) or "not recorded"
    rows = [("time", entry.time), ("model", model), ("versions", versions)]
    parts = [
        f"## {clean(entry.title or entry.lesson)} (`{clean(entry.lesson)}`)",
        "\n".join(f"- {name}: {clean(text)}" for name, text in rows if text),
        _table(
            "setting", {name: json.dumps(value, ensure_ascii=False) for name, value in entry.settings.items()}, clean
        ),
        _table("measured", {name: _shown(name, value) for name, value in entry.measured.items()}, clean),
        *(_fenced(caption, clean) for caption in entry.captions[-1:]),
        *(_drawn(view, clean) for view in entry.views),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _shown(name: str, value: Recorded) -> str:
    """Numbers as they are read; an export as JSON has them in full. Texts in quotes, that spaces can be seen."""
    texts = isinstance(value, str) or (isinstance(value, list) and any(isinstance(part, str) for part in value))
    return json.dumps(value, ensure_ascii=False) if texts else measurement(name, value)


def _table(head: str, cells: Mapping[str, str], clean: Callable[[str], str]) -> str:
    if not cells:
        return ""
    rows = (f"| {clean(name)} | {_code(clean(text))} |" for name, text in cells.items())
    return "\n".join([f"| {head} | value |", "|---|---|", *rows])


def _code(text: str) -> str:
    """A code span for a table cell: a fence longer than any in the text, and bars that do not end the cell."""
    text = text.replace("\n", " ").replace("|", "\\|")
    if "`" not in text:
        return f"`{text}`"
    ticks = "`" * (text.count("`") + 1)
    return f"{ticks} {text} {ticks}"


def _drawn(view: Drawn, clean: Callable[[str], str]) -> str:
    if not view.svg:
        return _fenced(view.text, clean)
    data = base64.b64encode(view.svg.encode("utf-8", "replace")).decode()
    return f"{_fenced(view.text, clean)}\n\n![the view as a picture](data:image/svg+xml;base64,{data})"


def _fenced(text: str, clean: Callable[[str], str]) -> str:
    fence = "`" * max(3, text.count("`") + 1)
    return f"{fence}\n{clean(text).rstrip()}\n{fence}"
