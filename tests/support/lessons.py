"""Runs a lesson's experiment the way the engine process does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated


class Runs:
    """The runs of presets as they stand, made once for all tests of all processes that share `folder`, and read as they
    come over the wire."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._read: dict[str, list[Frame]] = {}

    def of(self, engine: Engine, lesson_id: str, preset: str) -> list[Frame]:
        name = f"{lesson_id} {preset}"
        if name not in self._read:
            self._read[name] = msgspec.msgpack.decode(self._bytes(engine, lesson_id, preset, name), type=list[Frame])
        return self._read[name]

    def _bytes(self, engine: Engine, lesson_id: str, preset: str, name: str) -> bytes:
        kept = self.folder / f"{name.encode().hex()}.msgpack" if self.folder else None
        if kept is not None and kept.exists():
            return kept.read_bytes()
        made = msgspec.msgpack.encode(run(engine, lesson_id, preset))
        if kept is not None:
            part = kept.with_suffix(f".{os.getpid()}")
            part.write_bytes(made)
            part.replace(kept)
        return made


RUNS = Runs()


def run(engine: Engine, lesson_id: str, preset: str = "", **settings: Any) -> list[Frame]:
    """The frames of a run made now."""
    lesson = catalog.load()[lesson_id]
    given = {**(lesson.preset(preset).settings if preset else {}), **settings}
    return list(catalog.experiment(lesson).run(engine, validated(lesson, given, engine.info)))


def frames(engine: Engine, lesson_id: str, preset: str = "", **settings: Any) -> list[Frame]:
    """The frames of a run; runs of a preset as it stands are made once for all tests."""
    return run(engine, lesson_id, preset, **settings) if settings else RUNS.of(engine, lesson_id, preset)


def first_with(engine: Engine, lesson_id: str, key: str, preset: str = "", **settings: Any) -> Frame:
    """The first frame that shows the view `key`; the rest of the run is not made."""
    lesson = catalog.load()[lesson_id]
    given = {**(lesson.preset(preset).settings if preset else {}), **settings}
    run = catalog.experiment(lesson).run(engine, validated(lesson, given, engine.info))
    return next(frame for frame in run if any(view.key == key for view in frame.views))


def measured(engine: Engine, lesson_id: str, preset: str = "", **settings: Any) -> dict[str, Any]:
    return frames(engine, lesson_id, preset, **settings)[-1].measured
