"""Runs a lesson's experiment the way the engine process does."""

from __future__ import annotations

from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated

RUNS: dict[tuple[str, str], list[Frame]] = {}


def frames(engine: Engine, lesson_id: str, preset: str = "", **settings: Any) -> list[Frame]:
    """The frames of a run; runs of a preset as it stands are made once for all tests."""
    if not settings and (lesson_id, preset) in RUNS:
        return RUNS[lesson_id, preset]
    lesson = catalog.load()[lesson_id]
    given = {**(lesson.preset(preset).settings if preset else {}), **settings}
    found = list(catalog.experiment(lesson).run(engine, validated(lesson, given, engine.info)))
    if not settings:
        RUNS[lesson_id, preset] = found
    return found


def measured(engine: Engine, lesson_id: str, preset: str = "", **settings: Any) -> dict[str, Any]:
    return frames(engine, lesson_id, preset, **settings)[-1].measured
