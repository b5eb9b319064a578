"""`llm-holes check`: whether every lesson holds together and, with `--run`, whether it measures what it promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from llm_holes.engine.frames import Value
from llm_holes.engine.numbers import plural
from llm_holes.lessons.cases import Case, case_with, cases_of
from llm_holes.lessons.catalog.catalog import SHIPPED, Lesson
from llm_holes.lessons.game.rules import DIFFICULTIES, FIND_THE_HOLE, GIVE_UP
from llm_holes.lessons.lint import Fault, at, faults_of_bets, faults_of_run, inspect
from llm_holes.tui.cli.json import dumps
from llm_holes.tui.cli.run import Progress, Unsuccessful, run_each
from llm_holes.tui.draw.sanitize import clean
from llm_holes.tui.state.kept_runs import MadeRun
from llm_holes.tui.state.sources import NotFound, found

CASES = range(1, 4)
"""The cases of the game that are tried at each difficulty."""


def main(command: Sequence[str] | None, as_json: bool, folder: Path | None = None) -> int:
    """Prints what is wrong; 0 if nothing is. With the command of an engine, every default, step, bet and preset is run
    on it, and some cases of the game are solved. Raises Unsuccessful if there is no engine."""
    folder = folder or SHIPPED
    lessons, faults = inspect(folder)
    faults += [fault for lesson in lessons for fault in _code_faults(lesson)]
    runs = {lesson.id: cases_of(lesson) for lesson in lessons} if command is not None else {}
    solvable: dict[str, bool] = {}
    if command is not None:
        faults += _run_faults(lessons, runs, command)
        solvable = _solvable(command)
        faults += [
            Fault("game", 1, f"{case} is not solved by its own probes")
            for case, solved in solvable.items()
            if not solved
        ]
    made = sum(map(len, runs.values()))
    faults = list(dict.fromkeys(faults))
    if as_json:
        problems = [fault._asdict() for fault in faults]
        print(dumps({"lessons": len(lessons), "runs": made, "solvable": solvable, "problems": problems}))
        return bool(faults)
    for fault in faults:
        print(clean(f"lessons/{fault}"))
    print(f"{plural(len(lessons), 'lesson')}, {plural(made, 'run')}, {plural(len(faults), 'problem')}")
    return bool(faults)


def _code_faults(lesson: Lesson) -> Iterable[Fault]:
    if _missing(f"{lesson.module}:run"):
        yield at(lesson, "", f"{lesson.module} has no run(): {_missing(f'{lesson.module}:run')}")
    for name in lesson.data.code:
        if _missing(name):
            yield at(lesson, name, f"the code {name!r}: {_missing(name)}")


def _missing(name: str) -> str:
    try:
        found(name)
    except NotFound as error:
        return str(error)
    return ""


def _run_faults(lessons: Sequence[Lesson], runs: Mapping[str, list[Case]], command: Sequence[str]) -> list[Fault]:
    faults: list[Fault] = []
    left = iter([(lesson, case) for lesson in lessons for case in runs[lesson.id]])
    measured: dict[tuple[str, str], Mapping[str, Value | None]] = {}
    progress = Progress()

    def done(outcome: MadeRun | Unsuccessful) -> None:
        lesson, case = next(left)
        if isinstance(outcome, MadeRun) and outcome.frames:
            measured[lesson.id, str(case)] = outcome.frames[-1].measured
        for needle, problem in _problems(lesson, case, outcome):
            faults.append(at(lesson, needle or case.needle, f"with {case}: {problem}"))

    asked = [(lesson.id, case.settings) for lesson in lessons for case in runs[lesson.id]]
    try:
        run_each(command, asked, progress, done)
    finally:
        progress.clear()
    for lesson in lessons:

        def known(settings: Mapping[str, Value], lesson: Lesson = lesson) -> Mapping[str, Value | None] | None:
            return measured.get((lesson.id, str(case_with(runs[lesson.id], lesson, settings))))

        faults += faults_of_bets(lesson, known)
    return faults


def _solvable(command: Sequence[str]) -> dict[str, bool]:
    """Whether some cases of Find the hole, at each difficulty, were solved by the game's own probes."""
    asked: list[tuple[str, Mapping[str, Value]]] = [
        (FIND_THE_HOLE, {"seed": seed, "difficulty": level, "guess_kind": GIVE_UP})
        for level in DIFFICULTIES
        for seed in CASES
    ]
    left, found = iter(asked), {}
    progress = Progress()

    def done(outcome: MadeRun | Unsuccessful) -> None:
        _, case = next(left)
        name = f"case {case['seed']} of difficulty {case['difficulty']}"
        found[name] = isinstance(outcome, MadeRun) and outcome.frames[-1].measured.get("solvable") is True

    try:
        run_each(command, asked, progress, done)
    finally:
        progress.clear()
    return found


def _problems(lesson: Lesson, case: Case, outcome: MadeRun | Unsuccessful) -> Iterable[tuple[str, str]]:
    if isinstance(outcome, Unsuccessful):
        return [("", f"the run failed: {outcome}")]
    return faults_of_run(lesson, outcome.frames, case.steps)
