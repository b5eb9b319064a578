from __future__ import annotations

from llm_holes.engine.frames import MergeTree
from llm_holes.tui.draw.merge_tree import merge_tree_rows
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.views.base import ViewWidget


class MergeTreeView(ViewWidget[MergeTree]):
    """How the pieces of a word are joined; all there is to say stands in the picture."""

    def layout_rows(self, width: int) -> list[Row]:
        return merge_tree_rows(self.view, width)
