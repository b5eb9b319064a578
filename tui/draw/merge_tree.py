"""How the pieces of a word are joined, as rows of spans: the bytes on top, brackets that join two, the tokens below.

The tree grows downwards, so that a picture of the first joins keeps its place when more follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len

from llm_holes.engine.frames import MergeTree, Token
from llm_holes.engine.numbers import count, plural
from llm_holes.tui.draw.map import chip
from llm_holes.tui.draw.spans import GAP, Row, Span, titled, wrapped

LEGEND = "number on a joint: its place in the list of merges, 1 was learnt first"
WIDEST = 6
"""Columns between neighbours where there is room for them."""


class Node(NamedTuple):
    """A piece and the block of columns that it takes with all it was made of; `centre` and the children's `offsets`
    are columns of that block. `level` counts the joins above each other."""

    data: bytes
    label: str
    width: int
    centre: int
    level: int = 0
    rank: str = ""
    children: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()


@dataclass
class Canvas:
    """Rows that are written at any place; later writing must not overlap."""

    rows: list[dict[int, Span]]

    def write(self, y: int, x: int, text: str, role: str) -> None:
        self.rows[y][x] = Span(text, role)

    def spread(self) -> Iterator[Row]:
        for spans in self.rows:
            row: Row = []
            end = 0
            for x, span in sorted(spans.items()):
                row += [Span(" " * (x - end)), span] if x > end else [span]
                end = x + cell_len(span.text)
            yield row


def merge_tree_rows(view: MergeTree, width: int) -> list[Row]:
    """The trees of all tokens side by side, in several bands where they are wide; as a list where one is too wide."""
    nodes = _spread_out(view, width)
    if not nodes:
        return titled(view.title, "", [[Span("no bytes", "dim")]])
    joins = len(nodes) - len(view.leaves)
    joins = joins if view.shown is None else min(max(view.shown, 0), joins)
    end = len(view.leaves) + joins
    tokens = plural(len(view.leaves) - joins, "token")
    leaf = "byte" if all(len(token.data) == 1 for token in view.leaves) else "piece"
    head = f"{plural(len(view.leaves), leaf)}, {plural(joins, 'join')}: {tokens}"
    roots = _tops(nodes, len(nodes))
    if max(nodes[n].width for n in roots) > width:
        return titled(view.title, head, list(_listed(nodes[:end], width)))
    legend = [[Span(line, "dim")] for line in (wrapped(LEGEND, width) if view.joins else [])]
    return titled(view.title, head, [*_bands(nodes, roots, end, width), *legend])


def _tops(nodes: Sequence[Node], end: int) -> list[int]:
    """Of the first `end` nodes those without a parent among them, in the order of the text."""
    joined = {child for node in nodes[:end] for child in node.children}
    return sorted((n for n in range(end) if n not in joined), key=lambda n: _first_leaf(nodes, n))


def _spread_out(view: MergeTree, width: int) -> list[Node]:
    """The nodes as far apart as a single band allows."""
    for gap in range(WIDEST, 1, -1):
        nodes = nodes_of(view, gap)
        if sum(nodes[root].width + GAP for root in _tops(nodes, len(nodes))) - GAP <= width:
            return nodes
    return nodes_of(view)


def nodes_of(view: MergeTree, gap: int = 1) -> list[Node]:
    """The leaves, then what each join made, `gap` columns or more between neighbours; joins after one that is
    impossible are left out."""
    nodes: list[Node] = []
    for token in view.leaves:
        label = chip(token)
        nodes.append(Node(token.data, label, max(cell_len(label), 1), cell_len(label) // 2))
    used: set[int] = set()
    for join in view.joins:
        both = (join.left, join.right)
        if join.left == join.right or used & set(both) or not all(0 <= n < len(nodes) for n in both):
            break
        used |= set(both)
        nodes.append(_joined(nodes, both, count(join.rank), gap))
    return nodes


def _joined(nodes: Sequence[Node], children: tuple[int, int], rank: str, least: int) -> Node:
    """As narrow as the joint's number, the piece and the `least` gap allow."""
    left, right = nodes[children[0]], nodes[children[1]]
    data = left.data + right.data
    label = chip(Token(0, data))
    gap = max(least, len(rank) - (left.width - left.centre - 1) - right.centre)
    centre = (left.centre + left.width + gap + right.centre) // 2
    before = max(cell_len(label) // 2 - centre, 0)
    start = before + centre - cell_len(label) // 2
    width = max(before + left.width + gap + right.width, start + cell_len(label))
    offsets = before, before + left.width + gap
    return Node(data, label, width, before + centre, 1 + max(left.level, right.level), rank, children, offsets)


def _first_leaf(nodes: Sequence[Node], n: int) -> int:
    while nodes[n].children:
        n = nodes[n].children[0]
    return n


def _bands(nodes: Sequence[Node], roots: Sequence[int], end: int, width: int) -> Iterator[Row]:
    """As many trees side by side as fit; of each the first `end` nodes are drawn."""
    number = 0
    while roots:
        used, fitting = 0, 0
        for root in roots:
            used += nodes[root].width
            if fitting and used > width:
                break
            used, fitting = used + GAP, fitting + 1
        canvas, number = _band(nodes, roots[:fitting], end, number)
        yield from canvas.spread()
        roots = roots[fitting:]


def _band(nodes: Sequence[Node], roots: Sequence[int], end: int, number: int) -> tuple[Canvas, int]:
    """Their tokens, the first of which is the word's `number`, stand in one row, underlined; and the number after."""
    bottom = 2 * max(nodes[root].level for root in roots)
    canvas = Canvas([{} for _ in range(bottom + 2)])
    x = 0
    for root in roots:
        for top, left in _grown(nodes, root, x, end):
            node = nodes[top]
            _draw(nodes, top, left, bottom, canvas)
            start = left + node.centre - cell_len(node.label) // 2
            canvas.write(bottom, start, node.label, f"chip{number % 2}")
            canvas.write(bottom + 1, start, "▔" * max(cell_len(node.label), 1), "measured")
            number += 1
        x += nodes[root].width + GAP
    return canvas, number


def _grown(nodes: Sequence[Node], root: int, x: int, end: int) -> Iterator[tuple[int, int]]:
    """What there is of a tree when only the first `end` nodes are: the tops of its parts and the columns of their
    blocks, from left to right."""
    waiting = [(root, x)]
    while waiting:
        n, left = waiting.pop()
        if n < end:
            yield n, left
        else:
            waiting += reversed([(c, left + o) for c, o in zip(nodes[n].children, nodes[n].offsets, strict=True)])


def _draw(nodes: Sequence[Node], top: int, x: int, bottom: int, canvas: Canvas) -> None:
    """The tree above a token: each piece, the way down from it, and the bracket below two that were joined."""
    waiting = [(top, x, bottom)]
    while waiting:
        n, left, until = waiting.pop()
        node = nodes[n]
        centre, y = left + node.centre, 2 * node.level
        if n != top or (not node.children and bottom):
            canvas.write(y, centre - cell_len(node.label) // 2, node.label, "muted" if node.children else "strong")
            y += 1
        for line in range(y, until):
            canvas.write(line, centre, "│", "dim")
        if node.children:
            joint = 2 * node.level - 1
            places = [left + offset for offset in node.offsets]
            _bracket(nodes, node, places, joint, canvas)
            waiting += [(child, place, joint) for child, place in zip(node.children, places, strict=True)]


def _bracket(nodes: Sequence[Node], node: Node, places: Sequence[int], y: int, canvas: Canvas) -> None:
    start, end = (place + nodes[child].centre for child, place in zip(node.children, places, strict=True))
    room = end - start - 1 - len(node.rank)
    canvas.write(y, start, "╰" + "─" * (room // 2), "dim")
    canvas.write(y, start + 1 + room // 2, node.rank, "measured")
    canvas.write(y, end - (room - room // 2), "─" * (room - room // 2) + "╯", "dim")


def _listed(nodes: Sequence[Node], width: int) -> Iterator[Row]:
    """Join by join, for words that are too wide to draw."""
    places = max(len(node.rank) for node in nodes)
    for node in nodes:
        if node.children:
            left, right = (nodes[child].label for child in node.children)
            lines = wrapped(f"{left} + {right} → {node.label}", width - places - GAP)
            ranks = [node.rank, *[""] * (len(lines) - 1)]
            yield from (
                [Span(rank.rjust(places), "measured"), Span(" " * GAP + line)]
                for rank, line in zip(ranks, lines, strict=True)
            )
    for line in wrapped("tokens  " + "  ".join(nodes[n].label for n in _tops(nodes, len(nodes))), width):
        yield [Span(line, "strong")]
