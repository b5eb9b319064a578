"""The views without a cursor: bars, curves, arrows, number lines, tables, texts and diffs."""

from __future__ import annotations

from functools import partial

from llm_holes.engine.frames import Bars, Curve, Diff, NumberLine, Plane, Table, Text, View
from llm_holes.tui.draw.curve import LINES as CURVE
from llm_holes.tui.draw.curve import curve_rows
from llm_holes.tui.draw.diff import diff_rows
from llm_holes.tui.draw.number_line import LINES as NUMBER_LINE
from llm_holes.tui.draw.number_line import number_line_rows
from llm_holes.tui.draw.plane import LINES as PLANE
from llm_holes.tui.draw.plane import plane_rows
from llm_holes.tui.draw.spans import Row, bar_rows, table_rows, text_rows
from llm_holes.tui.views.base import ViewWidget


class BarsView(ViewWidget[Bars]):
    def layout_rows(self, width: int) -> list[Row]:
        return bar_rows(self.view, width, self.twin if isinstance(self.twin, Bars) else None, self.room)


class CurveView(ViewWidget[Curve]):
    def layout_rows(self, width: int) -> list[Row]:
        return self.fitting(partial(curve_rows, self.view, width), CURVE)


class PlaneView(ViewWidget[Plane]):
    def layout_rows(self, width: int) -> list[Row]:
        return self.fitting(partial(plane_rows, self.view, width), PLANE)


class NumberLineView(ViewWidget[NumberLine]):
    def layout_rows(self, width: int) -> list[Row]:
        return self.fitting(partial(number_line_rows, self.view, width), NUMBER_LINE)


class TableView(ViewWidget[Table]):
    def layout_rows(self, width: int) -> list[Row]:
        return table_rows(self.view, width)


class TextView(ViewWidget[Text]):
    def layout_rows(self, width: int) -> list[Row]:
        return text_rows(self.view, width)


class UnknownView(ViewWidget[View]):
    """Stands in for a view this program has no drawing for, so that the rest of the frame is still seen."""

    def layout_rows(self, width: int) -> list[Row]:
        name, title = type(self.view).__name__, getattr(self.view, "title", "")
        said = f"This part is not shown: there is no drawing for a {name}. Its numbers are among the measurements."
        return text_rows(Text(title, said), width)


class DiffView(ViewWidget[Diff]):
    def layout_rows(self, width: int) -> list[Row]:
        return diff_rows(self.view, width)
