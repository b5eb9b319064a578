"""What is written on a lesson's page: pure functions from the catalog and the measurements to text."""

from __future__ import annotations

from rich.cells import cell_len

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.catalog.words import LINK
from llm_holes.tui.draw.spans import Row, Span, fit, plain

STAGES = ("text", "tokens", "embedding", "attention", "FFN", "logits", "token")
BETWEEN = (" › ", " › ", " › layers[ ", " · ", " ] › ", " › ", " ↺")
TIGHT_STAGES = ("text", "tokens", "emb", "attn", "FFN", "logits", "token")
TIGHT_BETWEEN = ("›", "›", "›[", "·", "]›", "›", "↺")
LIT = "▣"


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
