"""`llm-holes doctor`: what is installed, what this terminal can do, and whether the engine computes what it should."""

from __future__ import annotations

import os
import shutil
import termios  # noqa: F401  # where this is missing there is no terminal to look at
from collections.abc import Mapping, Sequence
from dataclasses import replace

from msgspec import structs

from llm_holes.engine.backends.reference import ANSWERS, DOCTOR, differences
from llm_holes.engine.frames import Frame, Table
from llm_holes.engine.ipc.versions import versions
from llm_holes.engine.numbers import count
from llm_holes.tui.cli.run import Progress, run, width
from llm_holes.tui.draw.sanitize import clean
from llm_holes.tui.state.kept_runs import MadeRun
from llm_holes.tui.terminal.environment import charset, is_colourless, known_colours

FAILED = "FAILED"
ENVIRONMENT = ("TERM", "COLORTERM", "NO_COLOR", "LANG", "LC_ALL", "TMUX", "STY", "SSH_CONNECTION")


def main(command: Sequence[str], engine: str, as_json: bool, beside: Sequence[str] = ()) -> int:
    """Prints the report; 0 if every check passed, else 1. `beside` starts an engine that has to answer alike. Raises
    Unsuccessful if the engine cannot run them."""
    terminal = terminal_facts(os.environ)
    if not as_json:
        # at once: it is of use above all where the engine does not start
        _print("installed", ", ".join(f"{name} {version}" for name, version in versions().items()))
        _print("terminal", ", ".join(f"{name} {value}" for name, value in terminal.items()))
    progress = Progress()
    try:
        result = run(command, DOCTOR, {}, progress)
        if beside:
            result = compared(result, run(beside, ANSWERS, {}, progress), run(command, ANSWERS, {}, progress))
    finally:
        progress.clear()
    passed = bool(result.frames) and not failures(result.frames[-1])
    if as_json:
        _print_json(result, terminal, passed)
    else:
        _print_text(result, engine)
        print("\nEverything checked is as it should be." if passed else "\nAt least one check failed.")
    return 0 if passed else 1


def compared(result: MadeRun, ours: MadeRun, theirs: MadeRun) -> MadeRun:
    """The report with one more table: in what the server's answers differ from the local model's."""
    found = list(differences(ours.frames[-1].measured, theirs.frames[-1].measured))
    rows = tuple((name, figure, limit, "ok" if figure <= limit else FAILED) for name, figure, limit in found)
    name = ours.model.name if ours.model is not None else "the local model"
    table = Table(f"beside {name}, here", ("check", "figure", "at most", ""), rows)
    last = result.frames[-1]
    measured = {**last.measured, **{name: figure for name, figure, _ in found}}
    return replace(
        result, frames=(*result.frames, structs.replace(last, views=(*last.views, table), measured=measured))
    )


def terminal_facts(environment: Mapping[str, str]) -> dict[str, str]:
    """What decides how the app looks here, each as the app will see it."""
    from rich.console import Console

    columns, lines = shutil.get_terminal_size((0, 0))
    told = environment.get("TEXTUAL_COLOR_SYSTEM") or known_colours(environment)
    colours = told or Console(force_terminal=True, _environ=environment).color_system or ""
    depth = {"standard": "16", "256": "256", "truecolor": "16.7 million"}.get(colours, "none")
    size = f"{columns}x{lines}" if columns else "not a terminal"
    seen = {
        "size": size,
        "colours": "none" if is_colourless(environment) else depth,
        "characters": charset(environment),
    }
    return {name: environment[name] for name in ENVIRONMENT if name in environment} | seen


def failures(frame: Frame) -> list[str]:
    """The names of the checks that failed: the first cells of the table rows that say so."""
    rows = [row for view in frame.views if isinstance(view, Table) for row in view.rows]
    return [str(row[0]) for row in rows if any(str(cell).startswith(FAILED) for cell in row[1:])]


def _print(name: str, text: str) -> None:
    print(f"{name:<10} {clean(text)}")


def _print_text(result: MadeRun, engine: str) -> None:
    from llm_holes.tui.draw.as_text import view_text

    if engine != "local":
        _print("engine", f"{engine}, " + ", ".join(f"{name} {version}" for name, version in result.versions.items()))
    if (model := result.model) and model.shows is not None:
        _print("model", f"{model.name}, at {model.path}")
    elif model:
        _print("model", f"{model.name}, {count(model.parameters)} parameters, {model.weight_format}")
        _print("files", model.path)
        _print("sha256", model.sha256)
        _print("device", f"{model.device}, {model.dtype}")
        _print("threads", f"{model.threads}")
    if result.frames:
        print("", *(view_text(view, width()) for view in result.frames[-1].views), sep="\n")


def _print_json(result: MadeRun, terminal: dict[str, str], passed: bool) -> None:
    from llm_holes.tui.cli.json import dumps

    frame = result.frames[-1] if result.frames else Frame("")
    print(
        dumps(
            {
                "passed": passed,
                "failed": failures(frame),
                "installed": versions(),
                "engine": result.versions,
                "terminal": terminal,
                "model": result.model,
                "measured": frame.measured,
                "views": frame.views,
            }
        )
    )
