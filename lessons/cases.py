"""The settings that a lesson itself asks for: its defaults, those of its steps and bets, and its presets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from llm_holes.engine.frames import Value
from llm_holes.lessons.catalog.catalog import Lesson

Wanted = tuple[str, str, set[int], Mapping[str, Value]]
"""What asks for a run, where that stands in the lesson's files, the steps it is made for, and its settings."""


@dataclass
class Case:
    """One run of a lesson. `settings` are those that differ from the defaults, `names` say what asks for them, `steps`
    which steps it is to have the picture of, `needle` where in the lesson's files it stands."""

    settings: Mapping[str, Value]
    needle: str = ""
    names: list[str] = field(default_factory=list)
    steps: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        return ", ".join(self.names)


def cases_of(lesson: Lesson, bets: bool = True) -> list[Case]:
    """Every run once. Those that decide the bets are left out without `bets`."""
    return _once(lesson, _asked_for(lesson, bets))


def steps_with(lesson: Lesson, settings: Mapping[str, Value]) -> list[Case]:
    """The runs of the steps as they are while the learner has these settings."""
    return _once(
        lesson,
        (
            (f"step {index + 1}", "[[steps]]", {index}, {**lesson.step_settings(index), **settings})
            for index in range(len(lesson.steps))
        ),
    )


def case_with(cases: list[Case], lesson: Lesson, settings: Mapping[str, Value]) -> Case | None:
    """The case with these settings, the defaults where they say nothing; None if it is not among them."""
    changed = _changed(lesson, settings)
    return next((case for case in cases if case.settings == changed), None)


def bet_under(lesson: Lesson, index: int) -> list[dict[str, Value]]:
    """The settings that each preset makes of those of the step with this bet."""
    return [{**lesson.steps[index].settings, **preset.settings} for preset in lesson.presets]


def _once(lesson: Lesson, wanted: Iterable[Wanted]) -> list[Case]:
    found: list[Case] = []
    for name, needle, steps, settings in wanted:
        case = case_with(found, lesson, settings)
        if case is None:
            case = Case(_changed(lesson, settings), needle)
            found.append(case)
        case.names.append(name)
        case.steps |= steps
    return found


def _asked_for(lesson: Lesson, bets: bool) -> Iterator[Wanted]:
    every = range(len(lesson.steps))
    pictured = {index for index in every if lesson.picture_settings(index)}
    yield "the default settings", "", {*every} - pictured, {}
    for index in every:
        yield f"step {index + 1}", "[[steps]]", {index}, lesson.step_settings(index)
    for preset in lesson.presets:
        needle = f'name = "{preset.name}"'
        yield f"the preset {preset.name!r}", needle, {*every} - pictured, preset.settings
        for index in sorted(pictured):
            settings = lesson.picture_settings(index) | preset.settings
            if settings != preset.settings:
                yield f"the preset {preset.name!r} in step {index + 1}", needle, {index}, settings
    for index, step in enumerate(lesson.steps if bets else ()):
        if step.bet is not None:
            yield f"the bet of step {index + 1}", step.bet.question, {index}, lesson.bet_settings(index)
            for preset, settings in zip(lesson.presets, bet_under(lesson, index), strict=True):
                yield f"step {index + 1} and the preset {preset.name!r}", step.bet.question, set(), settings


def _changed(lesson: Lesson, settings: Mapping[str, Value]) -> dict[str, Value]:
    defaults = lesson.defaults()
    return {name: value for name, value in settings.items() if name not in defaults or value != defaults[name]}
