"""Everything that is wrong with the lessons, where the catalog stops at the first fault. No torch, no textual."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import NamedTuple

import msgspec

from llm_holes.engine.frames import Frame
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog import TIERS, CatalogError, Lesson, check_tree, fill, line_of, parse, read_undug
from llm_holes.lessons.checks import check_lesson
from llm_holes.lessons.grading import explained, needs_run
from llm_holes.lessons.schema import Predict, Question


class Fault(NamedTuple):
    """What is wrong, and where: the file as a path inside the folder of the lessons."""

    file: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}"


def inspect(folder: Traversable) -> tuple[list[Lesson], list[Fault]]:
    """The dug lessons under `folder` that can be read, and the faults of all files."""
    lessons, faults = _readable(folder)
    places: list[Lesson] = []
    try:
        places = read_undug(folder / "undug.toml")
        check_tree(lessons + places)
    except CatalogError as error:
        faults.append(_fault(error))
    ids = {lesson.id for lesson in lessons + places}
    for lesson in lessons:
        if lesson.front is not None:
            for needle, problem in check_lesson(lesson.id, lesson.front, lesson.body, ids):
                faults.append(at(folder, lesson, needle, problem))
    return lessons, faults


def at(folder: Traversable, lesson: Lesson, needle: str, problem: str) -> Fault:
    """The fault, at the first line of the lesson's file with the needle in it."""
    return Fault(lesson.file, line_of(folder / lesson.file, needle), problem)


def faults_of_run(lesson: Lesson, frames: Sequence[Frame], model: ModelInfo) -> Iterator[tuple[str, str]]:
    """What a finished run shows to be wrong with its lesson: (a text to find in the file, the problem)."""
    assert lesson.front is not None
    if not frames:
        yield "", "the run showed nothing"
        return
    measured = frames[-1].measured
    for name in sorted(set(lesson.front.publishes) - measured.keys()):
        yield f'"{name}"', f"{name!r} was not measured"
    for name in sorted(measured.keys() - set(lesson.front.publishes)):
        yield "publishes", f"{name!r} was measured, but the lesson does not publish it"
    questions: list[Predict | Question] = [lesson.front.predict, *lesson.front.quiz]
    for question in questions:
        if needs_run(question) and question.options and question.measurement in measured:
            right = sum(bool(option.right) for option in explained(question, measured))
            if right != 1:
                value = measured[question.measurement]
                yield question.question, f"{right} options are right where {question.measurement} is {value!r}"
    known = {"measured": measured, "model": msgspec.structs.asdict(model)}
    for text in (lesson.body, *(option.because for question in questions for option in question.options)):
        yield from _unfillable(text, known)


def _readable(folder: Traversable) -> tuple[list[Lesson], list[Fault]]:
    lessons: list[Lesson] = []
    faults: list[Fault] = []
    for tier in TIERS:
        place = folder / f"tier{tier}"
        paths = sorted(place.iterdir(), key=lambda path: path.name) if place.is_dir() else []
        for path in (path for path in paths if path.name.endswith(".md")):
            try:
                lesson = parse(f"tier{tier}/{path.name}", path.read_text(encoding="utf-8"), tier)
                # all of its front matter is read only now
                _ = lesson.front
                lessons.append(lesson)
            except CatalogError as error:
                faults.append(_fault(error))
            except UnicodeDecodeError as error:
                faults.append(Fault(f"tier{tier}/{path.name}", 1, f"not UTF-8: {error}"))
    return lessons, faults


def _unfillable(text: str, known: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, str]]:
    for placeholder in re.findall(r"\{(?:measured|model)\.[^{}]*\}", text):
        try:
            if fill(placeholder, known) == placeholder:
                yield placeholder, f"{placeholder} is no placeholder"
        except (ValueError, TypeError) as error:
            yield placeholder, f"{placeholder} cannot be filled in: {error}"


def _fault(error: CatalogError) -> Fault:
    file, line, problem = str(error).split(":", 2)
    return Fault(file, int(line), problem.strip())
