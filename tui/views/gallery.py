from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import Gallery, Value
from llm_holes.tui.draw.arrays import Cells
from llm_holes.tui.draw.gallery import HEAD, Hanging, gallery_row, gallery_scale, hanging, item_facts, thumbnails
from llm_holes.tui.draw.map import Scale
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.views.base import glyphs_only
from llm_holes.tui.views.per_width import PerWidth
from llm_holes.tui.views.walk import WalkView


class GalleryView(WalkView[Gallery]):
    """Small maps; the cursor is (0, item)."""

    def __init__(self, view: Gallery) -> None:
        self._maps: list[Cells] = []
        self._scale = Scale(0, 0)
        self.hung: PerWidth[Hanging] = PerWidth(lambda width: hanging(self.view, self._maps, width))
        super().__init__(view)
        if view.cursor is not None:
            self.set_reactive(GalleryView.cursor, self._inside(view.cursor))

    def prepare(self, view: Gallery) -> None:
        self._maps = thumbnails(view.values)
        self._scale = gallery_scale(view, self._maps)
        self.hung.forget()
        self.set_reactive(GalleryView.cursor, self._inside(self.cursor[1]))

    def _inside(self, item: int) -> tuple[int, int]:
        return 0, min(max(item, 0), max(len(self._maps) - 1, 0))

    def row_count(self, width: int) -> int:
        return self.hung(width).height

    def row(self, y: int, width: int) -> Row:
        cursor = self.cursor[1] if self.has_focus else None
        glyphs = glyphs_only(self.app)
        return gallery_row(self.view, self._maps, self._scale, self.hung(width), y, cursor, glyphs)

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        item = self.cursor[1]
        if across or not self._maps:
            return self._inside(item + across)
        hung = self.hung(self.size.width)
        bands = [band for band in hung.bands if band.items]
        here = bands.index(hung.band_of(item))
        if not 0 <= here + down < len(bands):
            return self.cursor
        there = bands[here + down].items
        return 0, there[min(item - bands[here].items.start, len(there) - 1)]

    def edge(self, end: int) -> tuple[int, int]:
        return (0, self.hung(self.size.width).band_of(self.cursor[1]).items[end]) if self._maps else self.cursor

    def describe(self) -> str:
        return item_facts(self.view, self.cursor[1]) if self._maps else "no maps"

    def settings_here(self) -> dict[str, Value]:
        item = self.cursor[1]
        if item >= len(self.view.places):
            return {}
        return dict(zip(self.view.controls, self.view.places[item], strict=False))

    def cursor_region(self) -> Region:
        if not self._maps:
            return Region(0, 0, 1, 1)
        hung = self.hung(self.size.width)
        band = hung.band_of(self.cursor[1])
        x = (self.cursor[1] - band.items.start) * hung.slot
        return Region(x, HEAD + band.top, hung.slot, hung.lines + 1)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        hung = self.hung(self.size.width)
        for band in hung.bands:
            item = band.items.start + x // hung.slot
            if band.top <= y - HEAD <= band.top + hung.lines and item in band.items:
                return 0, item
        return None
