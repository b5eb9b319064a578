"""`llm-holes check --render`: what a lesson says of its runs, to be read by a person who looks for contradictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from llm_holes.lessons.cases import Case, cases_of, steps_with
from llm_holes.lessons.catalog.catalog import SHIPPED, Lesson
from llm_holes.lessons.catalog.settings import SettingsError, assigned
from llm_holes.lessons.catalog.words import Values
from llm_holes.lessons.lint import inspect
from llm_holes.tui.cli.run import Progress, Unsuccessful, run_each
from llm_holes.tui.draw.cost_line import cost_line
from llm_holes.tui.draw.sanitize import clean
from llm_holes.tui.draw.spans import plain, wrapped
from llm_holes.tui.draw.words import word_rows
from llm_holes.tui.state.kept_runs import MadeRun

WIDTH = 100


def main(
    command: Sequence[str], wanted: Sequence[str], assignments: Sequence[str] = (), folder: Path | None = None
) -> int:
    """Prints the words of these lessons, or of all, one block for each run; 1 if a run failed. With assignments such as
    `text=hello`, those of the lessons' steps with them. Raises Unsuccessful if there is no engine, no such lesson or no
    such setting."""
    lessons = {lesson.id: lesson for lesson in inspect(folder or SHIPPED)[0]}
    for lesson_id in wanted:
        if lesson_id not in lessons:
            raise Unsuccessful(f"there is no lesson {lesson_id!r}", usage=True)
    runs = [(lessons[name], case) for name in wanted or lessons for case in _cases(lessons[name], assignments)]
    left, failed = iter(runs), []
    progress = Progress()

    def done(outcome: MadeRun | Unsuccessful) -> None:
        lesson, case = next(left)
        progress.clear()
        print(f"===== {lesson.id}: {case} =====\n")
        if isinstance(outcome, Unsuccessful):
            failed.append(case)
            print(clean(f"The run failed: {outcome}\n"), flush=True)
        else:
            print(clean("\n".join(block(lesson, case, outcome))), flush=True)

    try:
        run_each(command, [(lesson.id, case.settings) for lesson, case in runs], progress, done)
    finally:
        progress.clear()
    return bool(failed)


def _cases(lesson: Lesson, assignments: Sequence[str]) -> list[Case]:
    try:
        return steps_with(lesson, assigned(lesson, assignments)) if assignments else cases_of(lesson, bets=False)
    except SettingsError as error:
        raise Unsuccessful(str(error), usage=True) from None


def block(lesson: Lesson, case: Case, made: MadeRun) -> Iterator[str]:
    """The lines of one run: what it says of itself, and the words of the steps that it is made for."""
    frame = made.frames[-1]
    values: Values = {
        "measured": frame.measured,
        "model": msgspec.structs.asdict(made.model) if made.model is not None else {},
        "settings": made.settings,
    }
    changed = ", ".join(f"{name} = {value!r}" for name, value in case.settings.items())
    paid = () if frame.cost is None else (f"cost: {cost_line(frame.cost, WIDTH - len('cost: '))}",)
    for line in (f"caption: {frame.caption}", *paid, f"set: {changed or 'nothing'}"):
        yield from wrapped(line, WIDTH)
    for index in sorted(case.steps):
        words = lesson.words[index]
        yield from ("", f"## {index + 1}. {words.heading}", "")
        yield from (plain(row) for row in word_rows(words.before, values, WIDTH))
        if words.after:
            yield from ("---", *(plain(row) for row in word_rows(words.after, values, WIDTH)))
    yield ""
