"""`llm-holes doctor`: what is installed, what this terminal can do, and whether the engine computes what it should."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence

from llm_holes.engine.frames import Frame, Table
from llm_holes.engine.protocol import ModelInfo
from llm_holes.engine.versions import versions
from llm_holes.tui.clean import clean
from llm_holes.tui.headless import Progress, Result, run, width

CHECKS = "doctor"
FAILED = "FAILED"
ENVIRONMENT = ("TERM", "COLORTERM", "NO_COLOR", "LANG", "LC_ALL", "TMUX", "STY", "SSH_CONNECTION")


def main(command: Sequence[str], engine: str, as_json: bool) -> int:
    """Prints the report; 0 if every check passed, else 1. Raises Unsuccessful if the engine cannot run them."""
    terminal = terminal_facts(os.environ)
    if not as_json:
        # at once: it is of use above all where the engine does not start
        _print("installed", ", ".join(f"{name} {version}" for name, version in versions().items()))
        _print("terminal", ", ".join(f"{name} {value}" for name, value in terminal.items()))
    progress = Progress()
    try:
        result = run(command, CHECKS, {}, progress)
    finally:
        progress.clear()
    changed = _changed_files(result.model) if engine == "local" and result.model else []
    passed = not changed and bool(result.frames) and not failures(result.frames[-1])
    if as_json:
        _print_json(result, terminal, changed, passed)
    else:
        _print_text(result, engine, changed)
        print("\nEverything checked is as it should be." if passed else "\nAt least one check failed.")
    return 0 if passed else 1


def terminal_facts(environment: Mapping[str, str]) -> dict[str, str]:
    """What decides how the app looks here, each as the app will see it."""
    from rich.console import Console

    columns, lines = shutil.get_terminal_size((0, 0))
    colours = Console(force_terminal=True, _environ=dict(environment)).color_system
    depth = {"standard": "16", "256": "256", "truecolor": "16.7 million"}.get(colours or "", "none")
    size = f"{columns}x{lines}" if columns else "not a terminal"
    return {name: environment[name] for name in ENVIRONMENT if name in environment} | {"size": size, "colours": depth}


def failures(frame: Frame) -> list[str]:
    """The names of the checks that failed: the first cells of the table rows that say so."""
    rows = [row for view in frame.views if isinstance(view, Table) for row in view.rows]
    return [str(row[0]) for row in rows if FAILED in row]


def _changed_files(model: ModelInfo) -> list[str]:
    """The model's files that are not what was installed; none for a learner's own folder, which has no record."""
    from llm_holes.engine import store

    return store.verify(store.ModelFiles(model.name, model.path, model.sha256, "", model.weight_format))


def _print(name: str, text: str) -> None:
    print(f"{name:<10} {clean(text)}")


def _print_text(result: Result, engine: str, changed: list[str]) -> None:
    from llm_holes.tui.plain import frame_text

    if engine != "local":
        _print("engine", f"{engine}, " + ", ".join(f"{name} {version}" for name, version in result.versions.items()))
    if model := result.model:
        _print("model", f"{model.name}, {model.parameters:,} parameters, {model.weight_format}")
        _print("files", f"{model.path}: {FAILED + ': changed: ' + ', '.join(changed) if changed else 'unchanged'}")
        _print("sha256", model.sha256)
        _print("threads", f"{model.threads}")
    if result.frames:
        print("\n" + frame_text(result.frames[-1], width()).rstrip())
    sys.stdout.flush()


def _print_json(result: Result, terminal: dict[str, str], changed: list[str], passed: bool) -> None:
    from llm_holes.tui.as_json import dumps

    frame = result.frames[-1] if result.frames else Frame("")
    print(
        dumps(
            {
                "passed": passed,
                "failed": [*changed, *failures(frame)],
                "installed": versions(),
                "engine": result.versions,
                "terminal": terminal,
                "model": result.model,
                "changed_files": changed,
                "measured": frame.measured,
                "views": frame.views,
            }
        )
    )
