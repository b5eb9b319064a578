"""Runs on their way into the lab notebook, with their views drawn."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llm_holes.engine.frames import Frame, Value, View
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.notebook import notebook
from llm_holes.lessons.notebook.notebook import Drawn, entry_of
from llm_holes.lessons.state_file import state_folder
from llm_holes.tui.draw.as_text import view_text

COLUMNS = 100
"""How wide the views in the notebook are: it outlives the terminal it was written from."""


@dataclass(frozen=True, slots=True)
class MadeRun:
    """A finished run and what it was made with; `ms` is how long it took."""

    versions: Mapping[str, str]
    model: ModelInfo | None
    frames: tuple[Frame, ...]
    settings: dict[str, Value]
    ms: float


def keep(lesson: Lesson, run: MadeRun) -> str:
    """Adds the run to the notebook; what the learner must be told if it could not be, else ""."""
    views = drawn(run.frames[-1].views) if run.frames else ()
    made = run.model, run.versions, run.ms, time.time()
    return notebook.append(entry_of(lesson.id, lesson.title, run.settings, run.frames, *made, views))


def drawn(views: Iterable[View]) -> tuple[Drawn, ...]:
    """The views as text and as pictures."""
    from llm_holes.tui.draw.as_svg import view_svg

    return tuple(Drawn(view_text(view, COLUMNS), view_svg(view, COLUMNS)) for view in views)


def notebook_path() -> Path:
    return state_folder() / notebook.FILE
