"""A step's words as rows of spans: Markdown's inline marks, with the measured values in place and told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from rich.cells import cell_len

from llm_holes.lessons.catalog.words import PLACEHOLDER, Values, chosen, value_of
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, plain

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LINK = "link:"
"""A span of this role leads to the lesson named after it."""
SCHEME = "hole:"
MARKS = {"strong_open": "strong", "em_open": "em", "code_inline": "code"}


@cache
def _parser() -> MarkdownIt:
    # the first screen has no words yet
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")


def word_rows(text: str, values: Values, width: int, head: Row | None = None) -> list[Row]:
    """The text in lines of at most `width` cells, paragraphs apart; of a sentence that holds for some runs, what holds
    for this one. `head` stands before its first word."""
    rows: list[Row] = []
    for n, inline in enumerate(_inlines(chosen(text, values))):
        if n:
            rows.append([])
        spans = [*(head or []), *_spans(inline, values)] if n == 0 else list(_spans(inline, values))
        rows += wrapped_spans(spans, width)
    return rows or wrapped_spans(head or [], width)


def marked_rows(text: str, width: int, role: str = "") -> list[Row]:
    """A short text in lines of at most `width` cells, marked."""
    return wrapped_spans(marked(text, role), width)


def marked(text: str, role: str = "") -> Row:
    """A short text in which what stands between backticks is marked as it is in the words."""
    return [Span(part, "code" if n % 2 else role) for n, part in enumerate(visible(text).split("`"))]


def link_at(row: Row, x: int) -> str:
    """The lesson that column `x` of a row leads to, or nothing."""
    for span in row:
        x -= cell_len(span.text)
        if x < 0:
            return span.role.removeprefix(LINK) if span.role.startswith(LINK) else ""
    return ""


def wrapped_spans(spans: Row, width: int) -> list[Row]:
    """The spans broken at spaces into lines of at most `width` cells."""
    width = max(width, 1)
    rows: list[Row] = [[]]
    used = 0
    for word in _words(spans):
        length = cell_len(plain(word))
        blank = not plain(word).strip()
        if used and used + length > width:
            rows.append([])
            used = 0
        if blank and not used:
            continue
        for piece in _cut(word, width) if length > width else [word]:
            if used and used + cell_len(plain(piece)) > width:
                rows.append([])
                used = 0
            rows[-1] += piece
            used += cell_len(plain(piece))
    return [_merged(row) for row in rows]


def _inlines(text: str) -> list[list[Token]]:
    return [token.children or [] for token in _parser().parse(text) if token.type == "inline"]


def _spans(tokens: list[Token], values: Values) -> Iterator[Span]:
    role = ""
    for token in tokens:
        if token.type == "link_open":
            href = str(token.attrs.get("href", ""))
            role = LINK + href.removeprefix(SCHEME) if href.startswith(SCHEME) else role
        elif token.type in ("strong_open", "em_open"):
            role = MARKS[token.type]
        elif token.type in ("link_close", "strong_close", "em_close"):
            role = ""
        elif token.type in ("softbreak", "hardbreak"):
            yield Span(" ", role)
        else:
            yield from _filled(token.content, "code" if token.type == "code_inline" else role, values)


def _filled(text: str, role: str, values: Values) -> Iterator[Span]:
    at = 0
    for match in PLACEHOLDER.finditer(text):
        yield Span(text[at : match.start()], role)
        yield Span(visible(value_of(match, values)), "measured" if match[1] == "measured" else role)
        at = match.end()
    yield Span(text[at:], role)


def _words(spans: Row) -> Iterator[Row]:
    """Runs of spaces and of other characters, each of which may be of several spans."""
    word: Row = []
    for span in spans:
        for piece in re.findall(r"\s+|\S+", span.text):
            if word and piece.isspace() is not plain(word).isspace():
                yield word
                word = []
            word.append(span._replace(text=" " if piece.isspace() else piece))
    if word:
        yield word


def _cut(word: Row, width: int) -> Iterator[Row]:
    line: Row = []
    used = 0
    for span in word:
        for character in span.text:
            if used + cell_len(character) > width:
                yield line
                line, used = [], 0
            line.append(span._replace(text=character))
            used += cell_len(character)
    yield line


def _merged(row: Row) -> Row:
    """Neighbours of one role as one span, without spaces at the end."""
    merged: Row = []
    for span in row:
        if merged and merged[-1].role == span.role:
            merged[-1] = merged[-1]._replace(text=merged[-1].text + span.text)
        else:
            merged.append(span)
    while merged and not merged[-1].text.strip():
        merged.pop()
    if merged:
        merged[-1] = merged[-1]._replace(text=merged[-1].text.rstrip())
    return merged
