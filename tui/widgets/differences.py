"""While runs are compared, below the pictures: what is pinned as A, and then in what B differs most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.geometry import Size
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import Row

if TYPE_CHECKING:
    from llm_holes.tui.state.compare import Pinned


class Differences(Widget):
    """What is to be said of A and B; dim while another B is under way. Not there without an A."""

    a: reactive[Pinned | None] = reactive(None, layout=True)
    b: reactive[Pinned | None] = reactive(None, layout=True)
    stale: reactive[bool] = reactive(False)
    labels: Mapping[str, str]
    """The names of the lesson's dials."""

    def __init__(self) -> None:
        super().__init__()
        self.labels = {}

    def on_mount(self) -> None:
        self.display = False

    def rows(self, width: int) -> list[Row]:
        if self.a is None:
            return []
        from llm_holes.tui.state.telling import difference_rows, pinned_rows

        width = max(width, 20)
        if self.b is None:
            return pinned_rows(self.a, self.labels, width)
        rows = difference_rows(self.a, self.b, self.labels, width)
        return [[span._replace(role="dim") for span in row] for row in rows] if self.stale else rows

    def render(self) -> VisualType:
        return lines(self.rows(self.content_size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.rows(width))
