from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import Blocks, Value
from llm_holes.tui.draw.blocks import across, block_facts, blocks_rows, margin, slot
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.views.places import PlacesView


class BlocksView(PlacesView[Blocks]):
    """A memory in blocks; the cursor is (0, physical block)."""

    def prepare(self, view: Blocks) -> None:
        self.set_reactive(BlocksView.cursor, self._inside(self.cursor[1], view))

    def _inside(self, block: int, view: Blocks) -> tuple[int, int]:
        return 0, min(max(block, 0), max(len(view.blocks) - 1, 0))

    def layout_rows(self, width: int) -> list[Row]:
        return blocks_rows(self.view, width, self.cursor[1] if self.has_focus else None)

    def stepped(self, right: int, down: int) -> tuple[int, int]:
        there = self.cursor[1] + right + down * across(self.view, self.size.width)
        return (0, there) if 0 <= there < len(self.view.blocks) else self.cursor

    def edge(self, end: int) -> tuple[int, int]:
        columns = across(self.view, self.size.width)
        start = self.cursor[1] - self.cursor[1] % columns
        return self._inside(start + columns - 1 if end else start, self.view)

    def describe(self) -> str:
        return block_facts(self.view, self.cursor[1]) if self.view.blocks else "no blocks"

    def settings_here(self) -> dict[str, Value]:
        return {}

    def cursor_region(self) -> Region:
        line, column = divmod(self.cursor[1], across(self.view, self.size.width))
        return Region(margin(self.view) + column * slot(self.view), line + 1, slot(self.view), 1)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        columns = across(self.view, self.size.width)
        column = (x - margin(self.view)) // slot(self.view)
        block = (y - 1) * columns + column
        return (0, block) if 0 <= column < columns and 0 <= block < len(self.view.blocks) else None
