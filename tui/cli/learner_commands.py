"""The commands about the learner's records and the lessons' content: their options, and where they are carried out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Protocol

EngineCommand = Callable[[argparse.Namespace], Sequence[str]]


class Add(Protocol):
    def __call__(
        self, name: str, run: Callable[[argparse.Namespace], int], text: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser: ...


def add_to(add: Add, shared: Callable[[], argparse.ArgumentParser], engine_command: EngineCommand) -> None:
    """Adds the commands; `shared` makes the options about model and engine, which `engine_command` understands."""
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="JSON on stdout and nothing else")

    progress = add("progress", _progress, "Show what you have read, run and passed, and what is due.", as_json)
    actions = progress.add_subparsers(title="actions", metavar="ACTION")
    for name, run, text in (
        ("export", _export, "Write all of your progress to a file, for another machine."),
        ("import", _import, "Add the progress from an exported file to yours."),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("file", metavar="FILE", help="a file, or - for the standard one")
        action.set_defaults(run_command=run)

    notebook = add("notebook", _notebook, "Show the runs that were kept in the lab notebook.")
    form = notebook.add_mutually_exclusive_group()
    for name in ("json", "markdown"):
        form.add_argument(f"--{name}", action="store_const", dest="form", const=name, help=f"as {name} with everything")
    notebook.add_argument("--out", metavar="FILE", help="write to a file")
    notebook.set_defaults(form="text")

    replay = add(
        "replay", _replay(engine_command), "Make recorded runs again and compare the numbers.", shared(), as_json
    )
    replay.add_argument("file", metavar="FILE", help="what `notebook --json` or `run --json` wrote, or - for stdin")

    check = add("check", _check(engine_command), "Check the lessons for faults.", shared(), as_json)
    check.add_argument("--run", action="store_true", help="also run every default, step, bet and preset on the model")
    check.add_argument(
        "--render",
        nargs="*",
        metavar="LESSON",
        help="print what each lesson, or these, says with every default, step and preset",
    )
    check.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="with --render: its steps with this setting"
    )

    new = add("new", _new, "Write the files of a new lesson into this checkout.")
    new.add_argument("lesson_id", metavar="ID", help="its id: small letters, digits and dashes")
    new.add_argument("--under", metavar="PARENT", required=True, help="the id of the lesson it stands under")


def _progress(args: argparse.Namespace) -> int:
    from llm_holes.tui.cli import progress

    return progress.show(args.json)


def _export(args: argparse.Namespace) -> int:
    from llm_holes.tui.cli import progress

    return progress.export(args.file)


def _import(args: argparse.Namespace) -> int:
    from llm_holes.tui.cli import progress

    return progress.import_(args.file)


def _notebook(args: argparse.Namespace) -> int:
    from llm_holes.tui.cli import notebook

    return notebook.main(args.form, args.out)


def _replay(engine_command: EngineCommand) -> Callable[[argparse.Namespace], int]:
    def replay(args: argparse.Namespace) -> int:
        from llm_holes.tui.cli import replay

        return replay.main(args.file, engine_command(args), args.json)

    return replay


def _check(engine_command: EngineCommand) -> Callable[[argparse.Namespace], int]:
    def check(args: argparse.Namespace) -> int:
        from llm_holes.tui.cli import check, render
        from llm_holes.tui.cli.run import Unsuccessful

        if args.render is not None:
            return render.main(engine_command(args), args.render, args.set)
        if args.set:
            raise Unsuccessful("--set belongs to --render LESSON, which prints what the lesson says", usage=True)
        return check.main(engine_command(args) if args.run else None, args.json)

    return check


def _new(args: argparse.Namespace) -> int:
    from llm_holes.tui.cli import new

    return new.main(args.lesson_id, args.under)
