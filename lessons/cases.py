"""The settings that a lesson itself asks for: its defaults, those of its steps and bets, and its presets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from llm_holes.engine.frames import Value
from llm_holes.lessons.catalog.catalog import Lesson


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
    found: list[Case] = []
    for name, needle, steps, settings in _asked_for(lesson, bets):
        case = case_with(found, lesson, settings)
        if case is None:
            case = Case(_changed(lesson, settings), needle)
            found.append(case)
        case.names.append(name)
        case.steps |= steps
    return found


def case_with(cases: list[Case], lesson: Lesson, settings: Mapping[str, Value]) -> Case | None:
    """The case with these settings, the defaults where they say nothing; None if it is not among them."""
    changed = _changed(lesson, settings)
    return next((case for case in cases if case.settings == changed), None)


def bet_under(lesson: Lesson, index: int) -> list[dict[str, Value]]:
    """The settings that each preset makes of those of the step with this bet."""
    return [{**lesson.steps[index].settings, **preset.settings} for preset in lesson.presets]


def _asked_for(lesson: Lesson, bets: bool) -> Iterator[tuple[str, str, set[int], Mapping[str, Value]]]:
    every = set(range(len(lesson.steps)))
    yield "the default settings", "", every, {}
    for index in sorted(every):
        yield f"step {index + 1}", "[[steps]]", {index}, lesson.step_settings(index)
    for preset in lesson.presets:
        yield f"the preset {preset.name!r}", f'name = "{preset.name}"', every, preset.settings
    for index, step in enumerate(lesson.steps if bets else ()):
        if step.bet is not None:
            yield f"the bet of step {index + 1}", step.bet.question, {index}, lesson.bet_settings(index)
            for preset, settings in zip(lesson.presets, bet_under(lesson, index), strict=True):
                yield f"step {index + 1} and the preset {preset.name!r}", step.bet.question, set(), settings


def _changed(lesson: Lesson, settings: Mapping[str, Value]) -> dict[str, Value]:
    defaults = lesson.defaults()
    return {name: value for name, value in settings.items() if name not in defaults or value != defaults[name]}
