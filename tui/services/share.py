"""What is on the stage as a file to pass on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llm_holes.engine.frames import Value, View
from llm_holes.engine.ipc.session import Session

if TYPE_CHECKING:
    from llm_holes.lessons.catalog.catalog import Lesson
    from llm_holes.tui.draw.card import Card

LONGEST_NAME = 40
"""Characters of the view's part of a file's name."""
MOST_COPIED = 65_536
"""Bytes: what is longer, terminals do not take into the clipboard."""


def card_of(
    lesson: Lesson, view: View, caption: str, settings: Mapping[str, Value], session: Session, chosen: str
) -> Card:
    """The card of a view that a run with these settings has shown; `chosen` is the model the program was started
    with, "" for the default one."""
    from llm_holes.tui.draw.card import Card
    from llm_holes.tui.state.command_line import run_command

    model, version = session.model, session.versions.get("llm-holes", "")
    server = model.path if model is not None and model.shows is not None else ""
    made = [model.name, server or model.dtype] if model is not None else []
    made.append(f"llm-holes {version}".strip())
    return Card(lesson.title, view, caption, " · ".join(made), run_command(lesson, settings, chosen, server))


def share(card: Card, lesson: Lesson) -> tuple[str, str]:
    """Writes the card; what the learner is to be told, and the text for the clipboard. Blocks on the disk."""
    from llm_holes.tui.draw.card import card_svg, card_text

    text = card_text(card)
    copied = text if len(text.encode()) <= MOST_COPIED else ""
    also = "; its text is copied, where the terminal allows" if copied else ""
    try:
        path = write(card_svg(card), file_name(lesson, card.view))
    except OSError as error:
        return f"The picture could not be written: {error.strerror or error}{also}.", copied
    return f"{path} is written{also}.", copied


def file_name(lesson: Lesson, view: View) -> str:
    """The file's name without a number and without its ending."""
    key = re.sub(r"[^a-z0-9]+", "-", (view.key or view.title).lower())[:LONGEST_NAME].strip("-")
    return f"{lesson.id}-{key or 'view'}"


def write(svg: str, name: str) -> Path:
    """Writes a file of that name into the current folder or, where that cannot be, into the learner's state folder.
    Raises OSError if there is no place in either."""
    data = svg.encode()
    try:
        return _written(Path(), name, data)
    except OSError:
        from llm_holes.lessons.state_file import state_folder

        folder = state_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _written(folder, name, data)


def _written(folder: Path, name: str, data: bytes) -> Path:
    """A new file, with a number where the name is taken; nothing is left of one that did not get all of its data."""
    path, number = folder / f"{name}.svg", 1
    while True:
        try:
            file = path.open("xb")
            break
        except FileExistsError:
            number += 1
            path = folder / f"{name}-{number}.svg"
    try:
        with file:
            file.write(data)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path
