"""The command line. Imports little at the top: what a command does not need must not delay it."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from llm_holes.tui.cli import learner_commands
from llm_holes.tui.cli.gates import gated

if TYPE_CHECKING:
    from textual.app import App

    from llm_holes.engine.frames import Value
    from llm_holes.lessons.catalog.catalog import Catalog, Lesson

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What goes wrong where something is written, whatever it is."""

FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141


NO_TERMINALS = "the tutor needs a Unix terminal, which this system has not; on Windows, install and run it inside WSL"


class UsageError(Exception):
    """The command line asks for what there is not; the message says what there is."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 1 failed, 2 usage, 130 after ctrl+c."""
    without_output = sys.stdout is None
    _open_closed_streams()
    with gated():
        if without_output:
            return _fail("the standard output is closed, so there is nothing to write to", FAILED)
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal without Unicode gets ? for our drawing characters, not a traceback
        sys.stdout.reconfigure(errors="replace")
    try:
        args = _parser().parse_args(_readable(sys.argv[1:] if argv is None else argv))
        command: Callable[[argparse.Namespace], int] = args.run_command
        status = command(args)
        sys.stdout.flush()
        return status
    except SystemExit:
        # of argparse, which has printed its help or what is wrong
        try:
            sys.stdout.flush()
        except OSError as error:
            return _lost(error)
        raise
    except UsageError as error:
        return _fail(error, USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError as error:
        return _lost(error)
    except ModuleNotFoundError as error:
        if error.name != "termios":
            raise
        return _fail(NO_TERMINALS, USAGE)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return _lost(error)
        return _fail(error, _expected(error))


def _open_closed_streams() -> None:
    """Puts nothing where a standard stream is closed: what is opened next would get its number, and what is printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _readable(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments. Raises UsageError if one has bytes that are no text."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"an argument is not UTF-8: {argument!r}") from None
    return arguments


def _lost(error: OSError) -> int:
    """Ends a command whose output is lost. A reader that is gone had enough; a full disk is told."""
    # Python must not complain when it flushes at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    return _fail(f"the output cannot be written: {error.strerror}", FAILED)


def _expected(error: Exception) -> int:
    """The exit status for an error that is told in one sentence. Raises the error if it is none of these."""
    from llm_holes.lessons.catalog.catalog import CatalogError
    from llm_holes.tui.cli.run import Unsuccessful

    match error:
        case Unsuccessful():
            return USAGE if error.usage else FAILED
        case CatalogError():
            return FAILED
    raise error


def _fail(error: Exception | str, status: int) -> int:
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # where there is no place for errors either, the status tells
        print(f"llm-holes: {error}", file=sys.stderr, flush=True)
    return status


def _parser() -> argparse.ArgumentParser:
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="JSON on stdout and nothing else")

    parser = argparse.ArgumentParser(
        prog="llm-holes",
        parents=[_shared()],
        description="Shows what really happens when a message is sent to a language model. Without a command it opens "
        "the tutor in the terminal.",
    )
    parser.add_argument("--version", action="store_const", dest="run_command", const=_version, help="print the version")
    parser.add_argument("--lesson", metavar="LESSON", help="the lesson to open first")
    parser.set_defaults(run_command=_app, model=None, engine="local", threads=None, device=None, dtype=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=list(parents))
        command.set_defaults(run_command=run)
        return command

    add("tour", _tour, "Open the tutor with the tour: ten minutes through eight lessons.", _shared())
    add("list", _list, "Print the tree of lessons.", as_json)
    run = add("run", _run, "Run one lesson's experiment and print what it measured.", _shared(), as_json)
    run.add_argument("lesson_id", metavar="LESSON", help="a lesson's id, as `llm-holes list` prints it")
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting; repeatable")
    run.add_argument("--preset", metavar="PRESET", help="start from one of the lesson's presets")
    run.add_argument("--keep", action="store_true", help="add the run to the lab notebook")
    doctor = add(
        "doctor",
        _doctor,
        "Check this installation and this terminal, and the engine against itself.",
        _shared(),
        as_json,
    )
    doctor.add_argument("--beside", metavar="MODEL", help="of a server: a model here that has to answer alike")
    learner_commands.add_to(add, _shared, _engine_command)
    add("models", _models, "List the models in the cache.", as_json)
    add("engine", _engine, "Serve the model to an llm-holes on the other end of stdin and stdout.", _shared())
    return parser


def _shared() -> argparse.ArgumentParser:
    """The options that may stand before or after the command. New each time: argparse changes parents' defaults."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--model", metavar="NAME|DIR|FILE.gguf", help="the model to look into")
    shared.add_argument("--engine", metavar="local|ssh://HOST|https://HOST/v1", help="where the model runs")
    shared.add_argument(
        "--threads", metavar="N", type=_count, help="processor cores for the model (the free ones but one)"
    )
    shared.add_argument(
        "--device", metavar="cpu|cuda|mps", type=_device, help="what computes (the GPU if there is one)"
    )
    shared.add_argument(
        "--dtype", choices=("fp32", "bf16"), help="the numbers of the model's matrices (bf16 on a GPU, else fp32)"
    )
    return shared


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|mps|cuda(:\d{1,2})?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"cpu, cuda, cuda:N (the GPU of this number) or mps, not {text!r}")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)


def _version(args: argparse.Namespace) -> int:
    from importlib.metadata import version

    print(f"llm-holes {version('llm-holes')}")
    return 0


def _engine_command(args: argparse.Namespace) -> list[str]:
    from llm_holes.engine.ipc.client import command_for

    try:
        return command_for(args.engine, args.model, args.threads, args.device, args.dtype)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _app(args: argparse.Namespace, tour: bool = False) -> int:
    from llm_holes.engine.ipc.address import is_address
    from llm_holes.engine.ipc.client import command_for
    from llm_holes.tui.terminal.terminal import run_app

    command = _engine_command(args)
    local = command_for("local") if is_address(args.engine) else []
    lesson = args.lesson and _find(args.lesson).id

    def make_app() -> App[Any]:
        from llm_holes.tui.app import HolesApp

        return HolesApp(command, lesson, greet=True, tour=tour, model=args.model or "", other_command=local)

    return run_app(make_app)


def _tour(args: argparse.Namespace) -> int:
    return _app(args, tour=True)


def _engine(args: argparse.Namespace) -> int:
    from llm_holes.engine.ipc.client import command_for

    # a process without a trace of the front end, under the same process id
    os.execv(sys.executable, command_for("local", args.model, args.threads, args.device, args.dtype))


def _list(args: argparse.Namespace) -> int:
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


def _run(args: argparse.Namespace) -> int:
    from llm_holes.tui.cli import run

    lesson = _find(args.lesson_id)
    settings = _settings(lesson, args.preset, args.set)
    progress = run.Progress()
    try:
        result = run.run(_engine_command(args), lesson.id, settings, progress)
    finally:
        progress.clear()
    print(run.result_json(lesson.id, result) if args.json else run.result_text(result))
    if args.keep:
        from llm_holes.tui.state.kept_runs import keep

        if notice := keep(lesson, result):
            raise run.Unsuccessful(notice)
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from llm_holes.engine.ipc.address import is_address
    from llm_holes.engine.ipc.client import command_for
    from llm_holes.tui.cli import doctor

    if args.beside and not is_address(args.engine):
        raise UsageError("--beside compares a server with a model here: it goes with --engine https://host/v1")
    beside = command_for("local", args.beside) if args.beside else ()
    return doctor.main(_engine_command(args), args.engine, args.json, beside)


def _models(args: argparse.Namespace) -> int:
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


if __name__ == "__main__":
    sys.exit(main())
