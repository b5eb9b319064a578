"""A memory cut into blocks as rows of spans: the blocks in physical order, then each owner's table of them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.cells import cell_len

from llm_holes.engine.frames import Block, Blocks
from llm_holes.engine.numbers import percent
from llm_holes.tui.draw.colours import hue_of
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import LOWER, Row, Span, fit, titled, wrapped

STRIDE = 8
"""Rows hold a multiple of this many blocks, so that a block's number can be read off."""
NAME = 6
LEGEND = "A█ held by A, full · A▄ half full · A_ given to A, empty · 3█ shared by 3 · ·· free"


def across(view: Blocks, width: int) -> int:
    """How many blocks are in one row."""
    room = max((width - margin(view) - 1) // slot(view), 1)
    return min(room - room % STRIDE or room, max(len(view.blocks), 1))


def slot(view: Blocks) -> int:
    """Columns of one block: a gap, its owner, how full it is."""
    return 2 + max((cell_len(owner_mark(block)) for block in view.blocks), default=1)


def margin(view: Blocks) -> int:
    """Columns of the number before each row."""
    return len(str(max(len(view.blocks) - 1, 0)))


def owner_mark(block: Block) -> str:
    """Whose block it is: a name, or how many share it."""
    return str(len(block.owners)) if len(block.owners) > 1 else visible("".join(block.owners))


def fill_mark(block: Block) -> str:
    if not block.owners:
        return "·"
    return LOWER[min(math.ceil(block.filled * len(LOWER)), len(LOWER)) - 1] if block.filled > 0 else "_"


def blocks_rows(view: Blocks, width: int, cursor: int | None = None) -> list[Row]:
    """The whole view; the block at the cursor is in brackets, in the map and in the tables."""
    if not view.blocks:
        return titled(view.title, "", [[Span("no blocks", "dim")]])
    used = sum(bool(block.owners) for block in view.blocks)
    head = "" if view.legend else f"{used} of {len(view.blocks)} blocks in use"
    legend = [[Span(line, "dim")] for line in wrapped(view.legend or LEGEND, width)]
    return titled(view.title, head, [*_map(view, width, cursor), *legend, *_tables(view, width, cursor)])


def _map(view: Blocks, width: int, cursor: int | None) -> Iterator[Row]:
    columns, label = across(view, width), slot(view) - 2
    for start in range(0, len(view.blocks), columns):
        row = [Span(str(start).rjust(margin(view)), "dim")]
        shown = range(start, min(start + columns, len(view.blocks)))
        for n in shown:
            block = view.blocks[n]
            row.append(Span(_bracket(n, start, cursor), "cursor" if cursor in (n, n - 1) and cursor >= start else ""))
            owner = owner_mark(block) or "·"
            row.append(
                Span(fit(owner, label, right=True) + fill_mark(block), "cursor" if n == cursor else _role(block))
            )
        row.append(Span("]" if cursor == shown[-1] else " ", "cursor" if cursor == shown[-1] else ""))
        yield row


def _role(block: Block) -> str:
    """Each owner has a hue beside its letter; a block that several share, the colour of what is measured."""
    if len(block.owners) > 1:
        return "measured"
    return hue_of(block.owners[0]) if block.owners else "dim"


def _bracket(block: int, start: int, cursor: int | None) -> str:
    """What comes before a block."""
    if block == cursor:
        return "["
    return "]" if cursor is not None and block == cursor + 1 and cursor >= start else " "


def _tables(view: Blocks, width: int, cursor: int | None) -> Iterator[Row]:
    for table in view.tables:
        note = f"  {visible(table.note)}" if table.note else ""
        numbers = [f"[{block}]" if block == cursor else str(block) for block in table.blocks]
        lines = wrapped(" ".join(numbers) + note, width - NAME)
        for n, line in enumerate(lines):
            name = visible(table.name) if n == 0 else ""
            yield [Span(fit(name, NAME), hue_of(table.name)), Span(line, "dim" if not table.blocks else "")]


def block_facts(view: Blocks, n: int) -> str:
    """Everything about one block, for the line that describes the cursor's place."""
    block = view.blocks[n]
    if not block.owners:
        return visible(f"block {n} · free{' · ' + block.note if block.note else ''}")
    held = f"{len(block.owners)} share it: {', '.join(block.owners)}" if len(block.owners) > 1 else block.owners[0]
    return visible(" · ".join(filter(None, (f"block {n}", held, f"{percent(block.filled)} full", block.note))))
