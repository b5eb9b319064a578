"""Two texts compared word by word, as rows of spans."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from rich.cells import cell_len

from llm_holes.engine.frames import Diff
from llm_holes.tui.draw.sanitize import clean, visible
from llm_holes.tui.draw.spans import Row, Span, titled, wrapped

WORDS = re.compile(r"\n|[^\S\n]+|\S+")
MARKS = {"": ("", ""), "minus": ("[-", "-]"), "plus": ("[+", "+]")}


def diff_rows(view: Diff, width: int) -> list[Row]:
    """What went is marked [-so-], what came [+so+]; the marks carry the meaning, colour only helps."""
    if view.before == view.after:
        body = [[Span(line)] for line in wrapped(view.after, width)]
        return titled(view.title, "the same, word for word", body)
    labels = ((visible(view.before_label), "minus"), ("  ", ""), (visible(view.after_label), "plus"))
    return titled(view.title, "", [*_flow(labels, width), *_flow(_pieces(view), width)])


def _pieces(view: Diff) -> Iterator[tuple[str, str]]:
    before, after = (WORDS.findall(clean(text).expandtabs(4)) for text in (view.before, view.after))
    for tag, i, j, k, m in SequenceMatcher(None, before, after).get_opcodes():
        if tag == "equal":
            yield "".join(after[k:m]), ""
            continue
        if j > i:
            yield "".join(before[i:j]), "minus"
        if m > k:
            yield "".join(after[k:m]), "plus"


def _flow(pieces: Iterable[tuple[str, str]], width: int) -> list[Row]:
    rows: list[Row] = [[]]
    used = 0
    for text, role in pieces:
        opening, closing = MARKS[role]
        for word in WORDS.findall(opening + text + closing):
            if word == "\n":
                rows.append([])
                used = 0
                continue
            for part in wrapped(word, width) if cell_len(word) > width else [word]:
                size = cell_len(part)
                if used + size > width and used:
                    rows.append([])
                    used = 0
                    if part.isspace():
                        continue
                rows[-1].append(Span(part, role))
                used += size
    return rows
