"""Everything that is wrong with the lessons, where the catalog stops at the first fault. No torch, no textual."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.numbers import kind_of
from llm_holes.lessons.cases import bet_under
from llm_holes.lessons.catalog.balance import check_balance
from llm_holes.lessons.catalog.catalog import CatalogError, Lesson, check_tree, parse, places
from llm_holes.lessons.catalog.checks import check_lesson
from llm_holes.lessons.catalog.schema import Bet, Question
from llm_holes.lessons.catalog.tour import FILE, check_tour, line_of, read
from llm_holes.lessons.catalog.usage import read_by
from llm_holes.lessons.learner.grading import Measured, decided_otherwise, explained, needs_run

LONGEST_CAPTION = 110
"""Characters of what a frame says of itself: two lines beside the tree, one line without it."""


class Fault(NamedTuple):
    """What is wrong, and where: the file as a path inside the folder of the lessons."""

    file: str
    line: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.problem}"


def inspect(folder: Path) -> tuple[list[Lesson], list[Fault]]:
    """The lessons under `folder` that can be read, and the faults of all files."""
    lessons, faults = _readable(folder)
    try:
        check_tree(lessons)
    except CatalogError as error:
        faults.append(_fault(error))
    ids = {lesson.id for lesson in lessons}
    for lesson in lessons:
        for needle, problem in check_lesson(lesson.id, lesson.data, lesson.body, ids):
            faults.append(at(lesson, needle, problem))
        faults += _faults_of_code(lesson, folder / "shared")
    faults += [at(lesson, needle, problem) for lesson, needle, problem in check_balance(lessons)]
    faults += _of_tour(folder, lessons)
    return lessons, faults


def _of_tour(folder: Path, lessons: Sequence[Lesson]) -> list[Fault]:
    """What is wrong with the tour, if one leads through these lessons."""
    if not (folder / FILE).is_file():
        return []
    try:
        stops = read(folder)
    except CatalogError as error:
        return [_fault(error)]
    found = check_tour(stops, {lesson.id: lesson for lesson in lessons})
    return [Fault(FILE, line_of(folder, number), problem) for number, problem in found]


def at(lesson: Lesson, needle: str, problem: str) -> Fault:
    """The fault, at the first line of the lesson's files with the needle in it."""
    return Fault(*lesson.locate(needle), problem)


def faults_of_run(
    lesson: Lesson, frames: Sequence[Frame], steps: Collection[int] | None = None
) -> Iterator[tuple[str, str]]:
    """What a finished run shows to be wrong with its lesson: (a text to find in the file, the problem).

    It is to have the pictures of all steps, or of these."""
    if not frames:
        yield "", "the run showed nothing"
        return
    measured = frames[-1].measured
    for name in sorted(set(lesson.data.publishes) - measured.keys()):
        yield f'"{name}"', f"{name!r} was not measured"
    for name in sorted(measured.keys() - set(lesson.data.publishes)):
        yield "publishes", f"{name!r} was measured, but the lesson does not publish it"
    for name, value in measured.items():
        if kind_of(name) == "percent" and any(isinstance(number, int) and number > 1 for number in _numbers(value)):
            yield f'"{name}"', f"{name!r} counts something, and by its name would be read as a percentage"
    caption = max((frame.caption for frame in frames), key=len)
    if len(caption) > LONGEST_CAPTION:
        yield "", f"a caption has {len(caption)} characters, {LONGEST_CAPTION} fit: {caption}"
    shown = range(len(lesson.steps)) if steps is None else sorted(steps)
    for key in dict.fromkeys(lesson.steps[index].view for index in shown):
        if key not in {view.key for view in frames[-1].views}:
            yield f'"{key}"', f"the run shows no view {key!r}"
    questions: list[Bet | Question] = [*lesson.data.bets, *lesson.data.quiz]
    for question in questions:
        if needs_run(question) and question.options and question.measurement in measured:
            right = sum(bool(option.right) for option in explained(question, measured))
            if right != 1:
                value = measured[question.measurement]
                yield question.question, f"{right} options are right where {question.measurement} is {value!r}"


def _numbers(value: Value | None) -> Iterator[int | float]:
    """All numbers in a published value, whatever it is."""
    if isinstance(value, (Mapping, Sequence)) and not isinstance(value, str):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(part)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value


def _faults_of_code(lesson: Lesson, shared: Path) -> Iterator[Fault]:
    """Settings that the experiment reads and the lesson does not have, and the other way round."""
    try:
        code = read_by(lesson.place, shared)
    except SyntaxError as error:
        yield Fault(f"{lesson.folder}/{error.filename}", error.lineno or 1, f"is no Python: {error.msg}")
        return
    if code is None:
        return
    controls = [control.name for control in lesson.controls]
    for name, file, line in code.own:
        if name not in controls:
            yield Fault(f"{lesson.folder}/{file}", line, f"reads the setting {name!r}, which is not a control")
    for name in controls:
        if name not in code.names:
            yield at(lesson, f'name = "{name}"', f"the experiment does not read the control {name!r}")


def faults_of_bets(lesson: Lesson, measured: Callable[[Mapping[str, Value]], Measured | None]) -> Iterator[Fault]:
    """The bets that nothing else than their own settings could decide otherwise: each is to surprise under at least one
    preset. `measured` finds what the run with such settings measured, None if there is none."""
    for index, step in enumerate(lesson.steps):
        if step.bet is None:
            continue
        own = measured(lesson.bet_settings(index))
        others = [found for settings in bet_under(lesson, index) if (found := measured(settings)) is not None]
        if own is not None and others and not any(decided_otherwise(step.bet, own, other) for other in others):
            said = f"no preset changes the answer of the bet on {step.bet.measurement!r}"
            yield at(lesson, step.bet.question, said)


def _readable(folder: Path) -> tuple[list[Lesson], list[Fault]]:
    lessons: list[Lesson] = []
    faults: list[Fault] = []
    for tier, place in places(folder):
        try:
            lesson = parse(place, tier)
            # all of its data and its text are read only now
            _ = lesson.data, lesson.body
            lessons.append(lesson)
        except CatalogError as error:
            faults.append(_fault(error))
    return lessons, faults


def _fault(error: CatalogError) -> Fault:
    file, line, problem = str(error).split(":", 2)
    return Fault(file, int(line), problem.strip())
