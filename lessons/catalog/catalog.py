"""Finds, reads and checks the lessons. Data only: no torch, no textual; experiments are imported by `experiment()`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import msgspec

from llm_holes.engine.frames import Value
from llm_holes.lessons.catalog.checks import check_lesson
from llm_holes.lessons.catalog.schema import Bet, Control, LessonData, Preset, Step
from llm_holes.lessons.catalog.words import Words, words_of

T = TypeVar("T")

TIERS = range(5)
SHIPPED = Path(__file__).parents[1]
"""The folder of the lessons that come with the program."""
DATA, BODY = "lesson.toml", "lesson.md"
FIRST_LIST = re.compile(r"\n(?=\[|\w+ *= *\[)")
"""Where the first list or table of a lesson's data begins; what the tree needs stands before it."""


class CatalogError(Exception):
    """A lesson file is wrong; the message names the file and the line."""


class Lesson(msgspec.Struct, frozen=True, dict=True):
    """One hole of the tree, from the folder `place`.

    The tree needs a few lines of each lesson's data. All of it is parsed, and the text read, when it is first asked
    for, which may raise CatalogError.
    """

    id: str
    title: str
    short: str
    tier: int
    order: int
    parent: str
    place: Path
    toml: str

    @property
    def folder(self) -> str:
        """The lesson's folder inside that of all lessons."""
        return f"tier{self.tier}/{self.place.name}"

    @cached_property
    def data(self) -> LessonData:
        return typed(f"{self.folder}/{DATA}", self.toml, self.toml, LessonData)

    @cached_property
    def body(self) -> str:
        return text_of(self.place / BODY, f"{self.folder}/{BODY}")

    @cached_property
    def words(self) -> tuple[Words, ...]:
        """What the steps say, one entry for each of `steps`."""
        return words_of(self.body)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.data.steps

    @property
    def module(self) -> str:
        return f"llm_holes.lessons.tier{self.tier}.{self.place.name}.experiment"

    @property
    def controls(self) -> tuple[Control, ...]:
        return self.data.controls

    @property
    def presets(self) -> tuple[Preset, ...]:
        return self.data.presets

    def defaults(self) -> dict[str, Value]:
        return {control.name: control.default for control in self.controls}

    def step_settings(self, index: int) -> dict[str, Value]:
        """What reaching a step sets: every control that some step of the lesson sets, to this step's value or to its
        default. What no step sets stays as the learner left it."""
        defaults = self.defaults()
        touched = {name: defaults[name] for step in self.steps for name in step.settings if name in defaults}
        return touched | self.steps[index].settings

    def picture_settings(self, index: int) -> dict[str, Value]:
        """What a step sets only to get its picture; under a preset it keeps it, unless that names it itself."""
        settings = self.steps[index].settings
        return {
            control.name: settings[control.name]
            for control in self.controls
            if control.picture and control.name in settings
        }

    def bet_settings(self, index: int) -> dict[str, Value]:
        """The one case that the bet of a step speaks of: a value for every control."""
        step = self.steps[index]
        return self.defaults() | step.settings | (step.bet.settings if step.bet is not None else {})

    def step_of(self, bet: Bet) -> int:
        """The index of the step with this bet. Raises StopIteration if it is another lesson's."""
        return next(n for n, step in enumerate(self.steps) if step.bet is bet)

    def preset(self, name: str) -> Preset:
        """The preset called `name`. Raises KeyError with the names there are."""
        for preset in self.presets:
            if preset.name == name:
                return preset
        raise KeyError(f"{self.id} has no preset {name!r}; it has: {', '.join(p.name for p in self.presets)}")

    def locate(self, needle: str) -> tuple[str, int]:
        """The file and the line with the needle in it, in the data or else in the text; the data's first line if there
        is none."""
        for name, text in ((DATA, self.toml), (BODY, self.body)):
            for line, content in enumerate(text.splitlines(), 1):
                if needle and needle in content:
                    return f"{self.folder}/{name}", line
        return f"{self.folder}/{DATA}", 1


class Catalog(msgspec.Struct, frozen=True):
    """All lessons by id, in reading order (depth first, siblings by `order`)."""

    lessons: dict[str, Lesson]

    def __getitem__(self, lesson_id: str) -> Lesson:
        return self.lessons[lesson_id]

    def children(self, lesson_id: str) -> tuple[Lesson, ...]:
        """The holes right under this one; those of "" are the roots."""
        return tuple(lesson for lesson in self.lessons.values() if lesson.parent == lesson_id)

    def trail(self, lesson_id: str) -> tuple[Lesson, ...]:
        """From the root down to this lesson, itself included."""
        lesson = self.lessons[lesson_id]
        above = self.trail(lesson.parent) if lesson.parent else ()
        return (*above, lesson)


def experiment(lesson: Lesson) -> ModuleType:
    """The lesson's experiment module (has `run`). Imports torch: engine process only."""
    return import_module(lesson.module)


@cache
def load() -> Catalog:
    """The catalog that ships with the program; its lessons are checked as they are opened. Raises CatalogError."""
    return outline(SHIPPED)


def outline(folder: Path) -> Catalog:
    """The tree of `tier*/*/lesson.toml` under `folder`, from the first lines of each file."""
    found = [parse(place, tier) for tier, place in places(folder)]
    check_tree(found)
    return Catalog({lesson.id: lesson for lesson in _reading_order(found, "")})


def places(folder: Path) -> Iterator[tuple[int, Path]]:
    """The folders under `folder` that hold a lesson, each with its tier."""
    for tier in TIERS:
        shelf = folder / f"tier{tier}"
        for place in sorted(shelf.iterdir(), key=lambda place: place.name) if shelf.is_dir() else ():
            if (place / DATA).is_file():
                yield tier, place


def read(folder: Path) -> Catalog:
    """The catalog under `folder` with everything in it checked. Raises CatalogError."""
    catalog = outline(folder)
    for lesson in catalog.lessons.values():
        for needle, problem in check_lesson(lesson.id, lesson.data, lesson.body, catalog.lessons):
            file, line = lesson.locate(needle)
            raise CatalogError(f"{file}:{line}: {problem}")
    return catalog


class _Heading(msgspec.Struct):
    title: str
    short: str
    order: int
    parent: str = ""


def parse(place: Path, tier: int) -> Lesson:
    """The lesson in a folder, its heading checked. Raises CatalogError."""
    file = f"tier{tier}/{place.name}/{DATA}"
    toml = text_of(place / DATA, file)
    try:
        heading = typed(file, toml, FIRST_LIST.split(toml, 1)[0], _Heading)
    except CatalogError:  # of somebody who has written a list before the rest of it
        heading = typed(file, toml, toml.partition("\n[")[0], _Heading)
    return Lesson(
        place.name.replace("_", "-"), heading.title, heading.short, tier, heading.order, heading.parent, place, toml
    )  # fmt: skip


def text_of(path: Path, file: str) -> str:
    """The text of a file that messages call `file`. Raises CatalogError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{file}:1: cannot be read: {error}") from None


def typed(file: str, text: str, head: str, type: type[T]) -> T:
    """`head`, which is `text` or its beginning, as `type`. Raises CatalogError."""
    try:
        return msgspec.convert(tomllib.loads(head), type)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise CatalogError(f"{file}:{int(line[1]) if line else 1}: {error}") from None
    except msgspec.ValidationError as error:
        raise CatalogError(f"{file}:{_line_of_path(text, str(error))}: {error}") from None


def check_tree(found: list[Lesson]) -> None:
    """Raises CatalogError for an id used twice, a missing parent, or a circle."""
    by_id: dict[str, Lesson] = {}
    for lesson in found:
        where = f"{lesson.folder}/{DATA}"
        if lesson.id in by_id:
            raise CatalogError(f"{where}:1: the id {lesson.id!r} is used twice")
        by_id[lesson.id] = lesson
    for lesson in found:
        where = f"{lesson.folder}/{DATA}"
        if lesson.parent and lesson.parent not in by_id:
            raise CatalogError(f"{where}:1: parent {lesson.parent!r} is not a lesson")
        seen = {lesson.id}
        above = lesson.parent
        while above:
            if above in seen:
                raise CatalogError(f"{where}:1: {lesson.id!r} is its own ancestor")
            seen.add(above)
            above = by_id[above].parent


def _reading_order(found: list[Lesson], parent: str) -> Iterable[Lesson]:
    for lesson in sorted((x for x in found if x.parent == parent), key=lambda x: (x.tier, x.order)):
        yield lesson
        yield from _reading_order(found, lesson.id)


def _line_of_path(text: str, error: str) -> int:
    """The line a msgspec error such as "… - at `$.quiz[1].hints`" points at, as near as the text allows."""
    lines = text.splitlines()
    line = 0
    path = re.search(r"at `\$([^`]*)`", error)
    for key, index in re.findall(r"\.?(\w+)|\[(\d+|\.\.\.)\]", path[1]) if path else []:
        if key:
            pattern = rf"\s*(\[+{key}\]+|{key}\s*=)|.*[{{,]\s*{key}\s*="
            hits = [n for n in range(line, len(lines)) if re.match(pattern, lines[n])]
            heading = f"[[{key}]]"
        else:
            skip = int(index) if index.isdigit() else 0
            hits = [n for n in range(line, len(lines)) if lines[n].strip() == heading][skip:]
        line = hits[0] if hits else line
    unknown = re.search(r"unknown field `(\w+)`", error)
    if unknown:
        line = next((n for n in range(line, len(lines)) if re.match(rf".*\b{unknown[1]}\b\s*[=\]]", lines[n])), line)
    return line + 1
