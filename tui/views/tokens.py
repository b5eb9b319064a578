from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import Tokens, Value
from llm_holes.engine.numbers import plural
from llm_holes.tui.draw.map import Strip, strip_of, strip_row, token_facts
from llm_holes.tui.draw.spans import Row, titled
from llm_holes.tui.views.per_width import PerWidth
from llm_holes.tui.views.walk import WalkView


class TokensView(WalkView[Tokens]):
    """A strip of tokens; the cursor is (0, index)."""

    def __init__(self, view: Tokens) -> None:
        self.strip: PerWidth[Strip] = PerWidth(lambda width: strip_of(self.view, width))
        super().__init__(view)

    def prepare(self, view: Tokens) -> None:
        self.strip.forget()
        if self.cursor[1] >= len(view.tokens):
            self.set_reactive(TokensView.cursor, (0, max(len(view.tokens) - 1, 0)))

    def row_count(self, width: int) -> int:
        strip = self.strip(width)
        return 1 + len(strip.lines) * strip.height

    def row(self, y: int, width: int) -> Row:
        if y == 0:
            return titled(self.view.title, plural(len(self.view.tokens), "token"), [])[0]
        return strip_row(self.view, self.strip(width), y - 1, self.cursor[1] if self.has_focus else None)

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        last = len(self.view.tokens) - 1
        index = self.cursor[1]
        if last < 0:
            return self.cursor
        if across:
            return 0, min(max(index + across, 0), last)
        strip = self.strip(self.size.width)
        here = strip.places[index]
        line = here.line + down
        if not 0 <= line < len(strip.lines):
            return self.cursor
        return 0, min(strip.lines[line], key=lambda n: abs(strip.places[n].x - here.x))

    def edge(self, end: int) -> tuple[int, int]:
        if not self.view.tokens:
            return self.cursor
        strip = self.strip(self.size.width)
        return 0, strip.lines[strip.places[self.cursor[1]].line][end]

    def describe(self) -> str:
        return token_facts(self.view, self.cursor[1]) if self.view.tokens else "no tokens"

    def settings_here(self) -> dict[str, Value]:
        return {self.view.control: self.cursor[1]} if self.view.control and self.view.tokens else {}

    def cursor_region(self) -> Region:
        strip = self.strip(self.size.width)
        if not strip.places:
            return Region(0, 0, 1, 1)
        place = strip.places[self.cursor[1]]
        return Region(place.x, 1 + place.line * strip.height, place.width, strip.height)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        strip = self.strip(self.size.width)
        line = (y - 1) // strip.height
        if y < 1 or line >= len(strip.lines):
            return None
        return next(((0, n) for n in strip.lines[line] if x < strip.places[n].x + strip.places[n].width), None)
