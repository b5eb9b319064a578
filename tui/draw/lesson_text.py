"""What is written on a lesson's page: pure functions from the catalog and the measurements to text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rich.cells import cell_len

from llm_holes.lessons.catalog.catalog import Catalog, Lesson, fill
from llm_holes.lessons.catalog.checks import LINK
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import Row, Span, fit, plain

STAGES = ("text", "tokens", "embedding", "attention", "FFN", "logits", "token")
BETWEEN = (" › ", " › ", " › layers[ ", " · ", " ] › ", " › ", " ↺")
TIGHT_STAGES = ("text", "tokens", "emb", "attn", "FFN", "logits", "token")
TIGHT_BETWEEN = ("›", "›", "›[", "·", "]›", "›", "↺")
LIT = "▣"
CODE_SPAN = re.compile(r"(`+[^`]+`+)")
SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:\"'$^=])")


def filled(body: str, measured: Mapping[str, object], model: Mapping[str, object]) -> str:
    """The body with its placeholders filled in; foreign text stays literal, in and outside of code spans."""
    known = {"measured": measured, "model": model}
    parts = enumerate(CODE_SPAN.split(body))
    return "".join(fill(text, known, shown=_in_code if n % 2 else _marked) for n, text in parts)


def _marked(value: str) -> str:
    """A value in the text of a lesson: literal, and in the colour of what was measured (Markdown's ~~, which lessons do
    not use otherwise)."""
    text = visible(value)
    core = text.strip()
    if not core:
        return text
    before, after = text.split(core, 1)  # Markdown marks nothing that begins or ends with a space
    escaped = SPECIAL.sub(r"\\\1", core)
    return f"{before}~~{escaped}~~{after}"


def _in_code(value: str) -> str:
    return visible(value).replace("`", "'")


def pipeline(stages: tuple[str, ...], width: int) -> Row:
    """The trip of a message in one line, with the lesson's own stages lit."""
    row = _pipeline(stages, STAGES, BETWEEN)
    return row if cell_len(plain(row)) <= width else _pipeline(stages, TIGHT_STAGES, TIGHT_BETWEEN)


def _pipeline(stages: tuple[str, ...], names: tuple[str, ...], between: tuple[str, ...]) -> Row:
    row: Row = []
    for stage, name, after in zip(STAGES, names, between, strict=True):
        lit = stage in stages
        row += [Span((LIT if lit else "") + name, "lit" if lit else "dim"), Span(after, "dim")]
    return row


def breadcrumb(catalog: Catalog, lesson: Lesson, width: int) -> str:
    """The holes above this one; the outermost go first when the line is too short."""
    titles = [above.title for above in catalog.trail(lesson.id)[:-1]]
    text = " › ".join(titles)
    while len(titles) > 1 and cell_len(text) > width:
        titles.pop(0)
        text = " › ".join(["…", *titles])
    return fit(text, width).rstrip()


def ways(catalog: Catalog, lesson: Lesson) -> list[tuple[str, Lesson]]:
    """Where one can go from here: (up | deeper | across | in the text, lesson)."""
    found: list[tuple[str, Lesson]] = []
    if lesson.parent:
        found.append(("up", catalog[lesson.parent]))
    found += [("deeper", child) for child in catalog.children(lesson.id)]
    found += [("across", catalog[name]) for name in lesson.data.see_also]
    seen = {other.id for _, other in found}
    for name in LINK.findall(lesson.body):
        if name not in seen:
            found.append(("in the text", catalog[name]))
            seen.add(name)
    return found
