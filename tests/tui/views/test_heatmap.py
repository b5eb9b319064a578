"""A map that grows while it is walked."""

from __future__ import annotations

from llm_holes.engine.frames import Array, Heatmap
from llm_holes.tui.views.heatmap import HeatmapView


def square(side: int) -> Heatmap:
    return Heatmap("growing", Array.of([[float(row * side + column) for column in range(side)] for row in range(side)]))


def test_while_a_run_grows_its_map_again_the_cursor_waits_for_its_cell() -> None:
    widget = HeatmapView(square(6))
    widget.set_reactive(HeatmapView.cursor, (4, 5))
    for side, here in ((2, (1, 1)), (5, (4, 4)), (6, (4, 5))):
        widget.view = square(side)
        assert widget.here == here
