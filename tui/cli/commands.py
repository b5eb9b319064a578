"""What the commands do. Each imports what it needs when it is called: nothing else must delay it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from textual.app import App

    from llm_holes.engine.frames import Value
    from llm_holes.lessons.catalog.catalog import Catalog, Lesson


class UsageError(Exception):
    """The command line asks for what there is not; the message says what there is."""


def print_version(args: argparse.Namespace) -> int:
    from importlib.metadata import version

    print(f"llm-holes {version('llm-holes')}")
    return 0


def engine_command(args: argparse.Namespace) -> list[str]:
    from llm_holes.engine.ipc.client import command_for

    try:
        return command_for(args.engine, args.model, args.threads, args.device, args.dtype)
    except ValueError as error:
        raise UsageError(str(error)) from None


def local_engine() -> list[str]:
    from llm_holes.engine.ipc.client import command_for

    return command_for("local")


def open_tutor(
    command: list[str], other: Sequence[str] = (), model: str = "", lesson: str | None = None, tour: bool = False
) -> int:
    """The tutor on the engine that `command` starts, and on an `other` one to which a key leads."""
    from llm_holes.tui.terminal.terminal import run_app

    first = lesson and _find(lesson).id

    def make_app() -> App[Any]:
        from llm_holes.tui.app import HolesApp

        return HolesApp(command, first, greet=True, tour=tour, model=model, other_command=other)

    return run_app(make_app)


def tutor(args: argparse.Namespace, tour: bool = False) -> int:
    from llm_holes.engine.ipc.address import is_address

    command, other = engine_command(args), local_engine() if is_address(args.engine) else ()
    return open_tutor(command, other, args.model or "", args.lesson, tour)


def tour(args: argparse.Namespace) -> int:
    return tutor(args, tour=True)


def serve(args: argparse.Namespace) -> int:
    from llm_holes.engine.ipc.client import command_for

    # a process without a trace of the front end, under the same process id
    os.execv(sys.executable, command_for("local", args.model, args.threads, args.device, args.dtype))


def print_list(args: argparse.Namespace) -> int:
    from llm_holes.lessons.catalog import catalog

    lessons = catalog.load()
    if args.json:
        from llm_holes.tui.cli.json import dumps

        print(dumps([_entry(lesson) for lesson in lessons.lessons.values()]))
        return 0
    for lesson in lessons.lessons.values():
        depth = len(lessons.trail(lesson.id)) - 1
        name = "  " * depth + lesson.id
        print(f"{name:<32}  {lesson.title}  ({lesson.data.minutes} min)")
    return 0


def _entry(lesson: Lesson) -> dict[str, object]:
    return {
        "id": lesson.id,
        "title": lesson.title,
        "tier": lesson.tier,
        "parent": lesson.parent or None,
        "minutes": lesson.data.minutes,
        "objective": lesson.data.objective,
        "controls": lesson.controls,
        "presets": lesson.presets,
        "publishes": lesson.data.publishes,
    }


def run_lesson(args: argparse.Namespace) -> int:
    from llm_holes.tui.cli import run

    lesson = _find(args.lesson_id)
    settings = _settings(lesson, args.preset, args.set)
    progress = run.Progress()
    try:
        result = run.run(engine_command(args), lesson.id, settings, progress)
    finally:
        progress.clear()
    print(run.result_json(lesson.id, result) if args.json else run.result_text(result))
    if args.keep:
        from llm_holes.tui.state.kept_runs import keep

        if notice := keep(lesson, result):
            raise run.Unsuccessful(notice)
    return 0


def run_doctor(args: argparse.Namespace) -> int:
    from llm_holes.engine.ipc.address import is_address
    from llm_holes.engine.ipc.client import command_for
    from llm_holes.tui.cli import doctor

    if args.beside and not is_address(args.engine):
        raise UsageError("--beside compares a server with a model here: it goes with --engine https://host/v1")
    beside = command_for("local", args.beside) if args.beside else ()
    return doctor.main(engine_command(args), args.engine, args.json, beside)


def print_models(args: argparse.Namespace) -> int:
    from llm_holes.tui.cli import models

    return models.main(args.json)


def _find(name: str) -> Lesson:
    """The lesson called `name`. Raises UsageError with names like it."""
    from difflib import get_close_matches

    from llm_holes.lessons.catalog import catalog

    lessons: Catalog = catalog.load()
    if name in lessons.lessons:
        return lessons[name]
    like = get_close_matches(name.lower().replace("_", "-"), lessons.lessons, n=3, cutoff=0.5)
    meant = f" Did you mean {' or '.join(like)}?" if like else " `llm-holes list` shows the lessons."
    raise UsageError(f"there is no lesson {name!r}.{meant}")


def _settings(lesson: Lesson, preset: str | None, assignments: Sequence[str]) -> dict[str, Value]:
    """The preset's settings, then those set one by one, as far as they can be checked without the model."""
    from llm_holes.lessons.catalog.settings import SettingsError, assigned

    try:
        return {**(lesson.preset(preset).settings if preset else {}), **assigned(lesson, assignments)}
    except KeyError as error:
        raise UsageError(error.args[0]) from None
    except SettingsError as error:
        raise UsageError(str(error)) from None
