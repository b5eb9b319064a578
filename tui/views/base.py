"""What all views have in common: rows of spans, drawn line by line, and a cursor for those that can be walked."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import groupby
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from llm_holes.engine.frames import View
from llm_holes.tui.draw.colours import HUES
from llm_holes.tui.draw.spans import Row, Span, fitted
from llm_holes.tui.faults import Steady
from llm_holes.tui.views.per_width import PerWidth

V = TypeVar("V", bound=View)

ROLES = (
    "title", "dim", "strong", "muted", "measured", "measured-soft", "chip0", "chip1", "cursor", "pick", "plus", "minus",
    *HUES,
)  # fmt: skip
STEPS = 32
FEWEST, MOST = 4, 32
"""Lines of a plot."""
STANDS_OUT = 1.6
"""The contrast of an empty cell to the ground, at least."""


class ViewWidget(Steady, Widget, Generic[V]):
    """Draws one view. Subclasses give `layout_rows`; assigning `view` redraws in place and keeps the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"view--{role}" for role in ROLES}
    ALLOW_SELECT = False

    view: reactive[V] = reactive[V](None, always_update=True)  # type: ignore[arg-type]
    mark: str
    """What stands before the title, as A and B do where two runs are compared; set before `view` is."""
    twin: View | None
    """The other one of two pictures on one scale; set before `view` is."""

    def __init__(self, view: V) -> None:
        super().__init__()
        self.room = 0
        self.mark, self.twin = "", None
        self._paint: Paint | None = None
        self.cached_rows = PerWidth(self.layout_rows)
        self.set_reactive(ViewWidget.view, view)  # type: ignore[misc]  # the reactive itself, not a value of it
        self.prepare(view)

    def prepare(self, view: V) -> None:
        """Called with every new view before it is drawn."""

    def layout_rows(self, width: int) -> list[Row]:
        raise NotImplementedError

    def give(self, room: int) -> None:
        """The stage has this many rows; a picture that can be of any height takes them. 0: nobody says."""
        if room != self.room:
            self.room = room
            self.cached_rows.forget()
            self.refresh(layout=True)

    def fitting(self, draw: Callable[[int], list[Row]], usual: int) -> list[Row]:
        """A plot of as many lines as make the whole picture fill the room, or of its usual number."""
        rows = draw(usual)
        lines = min(max(usual + self.room - len(rows), FEWEST), MOST) if self.room else usual
        return rows if lines == usual else draw(lines)

    def row(self, y: int, width: int) -> Row:
        return self.cached_rows(width)[y]

    def row_count(self, width: int) -> int:
        return len(self.cached_rows(width))

    def validate_view(self, view: V) -> V:
        self.cached_rows.forget()
        self.prepare(view)
        return view

    def _watch_view(self) -> None:
        if not self.size or self.row_count(self.size.width) != self.size.height:  # as high as before, it moves nothing
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self.row_count(max(width, 1))

    def render_lines(self, crop: Region) -> list[Strip]:
        self._paint = None  # made anew for all these lines: asking Textual for its styles takes as long as a line
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not width or y >= self.row_count(width):
            return Strip.blank(width, self.rich_style)
        paint = self._paint = self._paint or Paint.of(self)
        row = self.row(y, width)
        if y == 0 and self.mark:
            row = fitted([Span(self.mark, "pick"), Span("  "), *row], width)
        return Strip(segments(row, paint)).adjust_cell_length(width, paint.base)


Theme = tuple[str, str, str, str]
"""Ground and ink, and the colours of what was measured and of what is below zero."""


class Paint:
    """Turns a span's role and heat into a style under the current theme."""

    def __init__(self, base: Style, roles: tuple[Style, ...], theme: Theme) -> None:
        self.base = base
        self._roles = dict(zip(ROLES, roles, strict=True)) | {"": base}
        self._ramp, self._inks = ramp(theme)
        self._shaded: dict[tuple[str, int | None, int | None], Style] = {}

    @classmethod
    def of(cls, widget: Widget) -> Paint:
        roles = tuple(widget.get_component_rich_style(f"view--{role}") for role in ROLES)
        return painted(widget.rich_style, roles, theme_of(widget.app))

    def style(self, span: Span) -> Style:
        _, role, heat, under = span
        if heat is None and under is None:
            return self._roles[role]
        ink = None if heat is None else round(heat * STEPS)
        ground = None if under is None else round(under * STEPS)
        key = role, ink, ground
        if key not in self._shaded:
            self._shaded[key] = self._roles[role] + self._colours(role.startswith("chip"), ink, ground)
        return self._shaded[key]

    def _colours(self, chip: bool, ink: int | None, ground: int | None) -> Style:
        """Of these steps of the ramp; a chip's own is behind its text."""
        if chip and ink is not None:
            return Style(bgcolor=self._ramp[ink], color=self._inks[ink])
        shade, behind = (None if step is None else self._ramp[step] for step in (ink, ground))
        return Style(color=shade, bgcolor=behind)


def segments(row: Row, paint: Paint) -> list[Segment]:
    """Neighbours in one style are one segment: all that is done to a line afterwards is done for each."""
    runs = groupby(row, paint.style)
    return [Segment("".join(span.text for span in run), style) for style, run in runs]


painted = lru_cache(64)(Paint)
"""One for all paints in the same styles: a map asks it for the same few hundred again and again."""

Ramp = dict[int, str]


@lru_cache(64)
def ramp(theme: Theme) -> tuple[Ramp, Ramp]:
    """Colours for -1..1 in steps, and the ink that reads best on each."""
    return shades(*map(Color.parse, theme))


def theme_of(app: App[object]) -> Theme:
    variables = app.theme_variables
    return variables["background"], variables["foreground"], variables["measured"], variables["secondary"]


def shades(ground: Color, ink: Color, hot: Color, cold: Color) -> tuple[Ramp, Ramp]:
    """From an empty cell to the measured colour, and to grey below zero; and for each the ink that reads best on it."""
    zero = empty_cell(ground, ink)
    steps = {n: zero.blend(hot if n >= 0 else cold, abs(n) / STEPS) for n in range(-STEPS, STEPS + 1)}
    inks = {n: max((ground, ink), key=lambda one: contrast(one, shade)).hex6 for n, shade in steps.items()}
    return {n: shade.hex6 for n, shade in steps.items()}, inks


def empty_cell(ground: Color, ink: Color) -> Color:
    """The faintest grey that can be told from the ground where a map's cell holds nothing."""
    greys = (ground.blend(ink, n / 100) for n in range(101))
    return next((grey for grey in greys if contrast(grey, ground) >= STANDS_OUT), ink)


def contrast(one: Color, other: Color) -> float:
    """How far two colours are apart in lightness, as in WCAG: 1 to 21."""
    low, high = sorted(_luminance(color) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Color) -> float:
    parts = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.normalized)
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def glyphs_only(app: App[object]) -> bool:
    """Whether shades must be characters: without colours, or with sixteen, which hold no ramp."""
    return bool(app.no_color) or app.console.color_system not in {"truecolor", "256"}
