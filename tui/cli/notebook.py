"""`llm-holes notebook`: the runs that were kept, as a list, as Markdown or as JSON."""

from __future__ import annotations

import sys
from pathlib import Path

from llm_holes.lessons.notebook import notebook
from llm_holes.lessons.notebook.notebook import Entry
from llm_holes.tui.cli.run import Unsuccessful
from llm_holes.tui.draw.sanitize import clean, visible


def main(form: str, out: str | None) -> int:
    """Prints the notebook as `text`, `markdown` or `json`, or writes it to the file. 1 if lines had to be skipped."""
    try:
        entries, notices = notebook.read()
    except OSError as error:
        raise Unsuccessful(f"the notebook cannot be read: {error}") from None
    for notice in notices:
        print(f"llm-holes: {notice}", file=sys.stderr)
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


def _line(entry: Entry) -> str:
    model = entry.model.name if entry.model else "?"
    caption = entry.captions[-1] if entry.captions else ""
    return visible(f"{entry.time}  {entry.lesson}  {model}  {caption}")
