"""The tour: some steps of some lessons, in the order of `tour.toml`. No torch, no textual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec

from llm_holes.engine.frames import Value
from llm_holes.lessons.catalog.catalog import SHIPPED, Lesson, text_of, typed
from llm_holes.lessons.catalog.schema import NonEmpty
from llm_holes.lessons.catalog.settings import SettingsError, checked

FILE = "tour.toml"
STOP = "[[stops]]"


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stop: the first step of the lesson with this view on its stage, or its first step of all, and what is set
    there besides what the step sets."""

    lesson: NonEmpty
    view: str = ""
    settings: dict[str, Value] = {}


class _Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    stops: Annotated[tuple[Stop, ...], msgspec.Meta(min_length=1)]


@cache
def load() -> tuple[Stop, ...]:
    """The tour that ships with the program. Raises CatalogError."""
    return read(SHIPPED)


def read(folder: Path) -> tuple[Stop, ...]:
    """The tour through the lessons under `folder`, its names not yet checked. Raises CatalogError."""
    text = text_of(folder / FILE, FILE)
    return typed(FILE, text, text, _Script).stops


def step_of(stop: Stop, lesson: Lesson) -> int | None:
    """The index of the stop's step in its lesson; None if no step shows the view."""
    views = [step.view for step in lesson.steps]
    if not stop.view:
        return 0
    return views.index(stop.view) if stop.view in views else None


def check_tour(stops: Sequence[Stop], lessons: Mapping[str, Lesson]) -> Iterator[tuple[int, str]]:
    """What is wrong: (number of the stop from 0, the problem)."""
    been: dict[str, set[int]] = {}
    for number, stop in enumerate(stops):
        lesson = lessons.get(stop.lesson)
        if lesson is None:
            yield number, f"the tour stops at {stop.lesson!r}, which is not a lesson"
            continue
        step = step_of(stop, lesson)
        if step is None:
            yield number, f"no step of {lesson.id!r} has the view {stop.view!r}"
            continue
        seen = been.setdefault(lesson.id, set())
        if step in seen:
            yield number, f"the tour has been at step {step + 1} of {lesson.id!r} before"
        seen.add(step)
        for problem in (*_bets(lesson, step, seen), *_settings(stop, lesson, step)):
            yield number, problem


def _bets(lesson: Lesson, at: int, seen: set[int]) -> Iterator[str]:
    """Later steps open the pictures of those before them, so that no bet may be left out on the way."""
    for index, step in enumerate(lesson.steps[:at]):
        if step.bet is not None and index not in seen:
            yield f"the tour passes over the bet at step {index + 1} of {lesson.id!r}, and its picture gives it away"


def _settings(stop: Stop, lesson: Lesson, at: int) -> Iterator[str]:
    if stop.settings and lesson.steps[at].bet is not None:
        yield f"step {at + 1} of {lesson.id!r} has a bet, which is asked over its own settings only"
    controls = {control.name: control for control in lesson.controls}
    for name, value in stop.settings.items():
        if name not in controls:
            yield f"the stop sets {name!r}, which is not a control of {lesson.id!r}"
            continue
        try:
            checked(controls[name], value, None)
        except SettingsError as error:
            yield f"in {lesson.id!r}, {error}"


def line_of(folder: Path, number: int) -> int:
    """The line of the file at which a stop begins, counted from 0; the first one if it is written otherwise."""
    lines = text_of(folder / FILE, FILE).splitlines()
    found = [line for line, content in enumerate(lines, 1) if content.strip() == STOP]
    return found[number] if number < len(found) else 1
