"""`llm-holes notebook`: the runs that were kept, as a list, as Markdown or as JSON."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from llm_holes.engine.frames import View
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.notebook import notebook
from llm_holes.lessons.notebook.notebook import Drawn, Entry, entry_of
from llm_holes.tui.cli.run import Result, Unsuccessful
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.sanitize import clean, visible

COLUMNS = 100
"""How wide the views in the notebook are: it outlives the terminal it was written from."""


def main(form: str, out: str | None) -> int:
    """Prints the notebook as `text`, `markdown` or `json`, or writes it to the file. 1 if lines had to be skipped."""
    try:
        entries, notices = notebook.read()
    except OSError as error:
        raise Unsuccessful(f"the notebook cannot be read: {error}") from None
    for notice in notices:
        print(f"llm-holes: {clean(notice)}", file=sys.stderr)
    match form:
        case "json":
            text = notebook.to_json(entries)
        case "markdown":
            text = notebook.to_markdown(entries, clean).rstrip()
        case _:
            text = "\n".join(map(_line, entries)) or "Nothing was kept yet: `llm-holes run LESSON --keep` keeps a run."
    if out is None:
        print(text)
        return bool(notices)
    try:
        Path(out).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Unsuccessful(f"{out}: {error.strerror}") from None
    return bool(notices)


def keep(lesson: Lesson, result: Result) -> None:
    """Adds the run to the notebook. Raises Unsuccessful if it cannot be."""
    if notice := add(lesson, result):
        raise Unsuccessful(notice)


def add(lesson: Lesson, result: Result) -> str:
    """Adds the run to the notebook; what the learner must be told if it could not be, else ""."""
    views = drawn(result.frames[-1].views) if result.frames else ()
    made = result.model, result.versions, result.ms, time.time()
    return notebook.append(entry_of(lesson.id, lesson.title, result.settings, result.frames, *made, views))


def drawn(views: Iterable[View]) -> tuple[Drawn, ...]:
    """The views as text and as pictures."""
    from llm_holes.tui.draw.as_svg import view_svg

    return tuple(Drawn(view_text(view, COLUMNS), view_svg(view, COLUMNS)) for view in views)


def _line(entry: Entry) -> str:
    model = entry.model.name if entry.model else "?"
    caption = entry.captions[-1] if entry.captions else ""
    return visible(f"{entry.time}  {entry.lesson}  {model}  {caption}")
