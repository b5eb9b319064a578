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
MARKS = {"minus": ("[-", "-]"), "plus": ("[+", "+]")}
ALIKE = 0.6
"""Texts that share fewer of their words are two texts, not one that was changed."""
GUTTERS = (Span("│ ", "dim"), Span("┃ ", "measured"))


def diff_rows(view: Diff, width: int) -> list[Row]:
    """What went is marked [-so-], what came [+so+]; the marks carry the meaning, colour only helps. Texts that have
    little in common stand one above the other, the words they share dim."""
    if view.before == view.after:
        body = [[Span(line)] for line in wrapped(view.after, width)]
        return titled(view.title, "the same, word for word", body)
    pieces = list(_pieces(view))
    if _shared(pieces) < ALIKE:
        return titled(view.title, "", _apart(view, pieces, width))
    labels = ((visible(view.before_label), "minus"), ("  ", ""), (visible(view.after_label), "plus"))
    return titled(view.title, "", [*_flow(labels, width), *_flow(pieces, width)])


def _shared(pieces: Iterable[tuple[str, str]]) -> float:
    """The share of the shorter text's words that the other has too, in the same order; 1 if there are none."""
    counts = dict.fromkeys(("", "minus", "plus"), 0)
    for text, role in pieces:
        counts[role] += len(text.split())
    shorter = counts[""] + min(counts["minus"], counts["plus"])
    return counts[""] / shorter if shorter else 1.0


def _apart(view: Diff, pieces: Iterable[tuple[str, str]], width: int) -> list[Row]:
    rows: list[Row] = []
    sides = ((view.before_label, "minus"), (view.after_label, "plus"))
    for (label, own), gutter in zip(sides, GUTTERS, strict=True):
        text = [(piece, "" if role else "dim") for piece, role in pieces if role in ("", own)]
        rows += [[Span(line, "strong")] for line in wrapped(visible(label), width)]
        rows += [[gutter, *row] for row in _flow(text, width - cell_len(gutter.text))]
    return rows


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
        opening, closing = MARKS.get(role, ("", ""))
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
