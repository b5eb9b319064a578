"""A layout that sets widgets side by side and goes on in the next row, as words do."""

from __future__ import annotations

from typing import Protocol, cast

from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

GAP = 3


class Flowing(Protocol):
    def flow_size(self, width: int) -> tuple[int, int]:
        """Columns and rows it takes where `width` columns are there."""
        ...


class FlowLayout(Layout):
    """Children say their own size (`Flowing`). One as wide as the row has it to itself."""

    name = "flow"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        parent.pre_layout(self)
        placed: list[WidgetPlacement] = []
        x = y = tall = 0
        for child in children:
            width, height = cast(Flowing, child).flow_size(size.width)
            if x and x + width > size.width:
                x, y, tall = 0, y + tall, 0
            region = Region(x, y, width, height)
            placed.append(WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, child, 0, False, False, False))
            x, tall = x + width + GAP, max(tall, height)
        return placed
