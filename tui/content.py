"""Rows of spans as Textual content, for widgets that are styled by the style sheet's variables."""

from __future__ import annotations

from textual.content import Content

from llm_holes.tui.draw.colours import HUES
from llm_holes.tui.draw.spans import Row

STYLES = {
    "dim": "$muted", "faint": "$faint", "strong": "bold $strong", "act": "$act", "act-strong": "bold $act",
    "measured": "$measured", "lit": "bold $strong",
    "em": "italic", "code": "$foreground on $chip", "link": "underline $act", "bar": "$foreground on $panel",
    **{hue: f"${hue}" for hue in HUES},
}  # fmt: skip


def content(row: Row) -> Content:
    """One line; the spans' text is literal, never markup."""
    return Content.assemble(*((span.text, STYLES.get(span.role.partition(":")[0], "")) for span in row))


def lines(rows: list[Row]) -> Content:
    return Content("\n").join(map(content, rows))
