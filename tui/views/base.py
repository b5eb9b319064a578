"""What all views have in common: rows of spans, drawn line by line, and a cursor for those that can be walked."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.geometry import Size
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

    view: reactive[V] = reactive[V](None, layout=True, always_update=True)  # type: ignore[arg-type]
    mark: str
    """What stands before the title, as A and B do where two runs are compared; set before `view` is."""
    twin: View | None
    """The other one of two pictures on one scale; set before `view` is."""

    def __init__(self, view: V) -> None:
        super().__init__()
        self.room = 0
        self.mark, self.twin = "", None
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

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self.row_count(max(width, 1))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if not width or y >= self.row_count(width):
            return Strip.blank(width, base)
        paint = Paint.of(self)
        row = self.row(y, width)
        if y == 0 and self.mark:
            row = fitted([Span(self.mark, "pick"), Span("  "), *row], width)
        strip = Strip([Segment(span.text, paint.style(span)) for span in row])
        return strip.adjust_cell_length(width, base)


class Paint:
    """Turns a span's role and heat into a style under the current theme."""

    def __init__(self, widget: Widget) -> None:
        self.base = widget.rich_style
        self.roles = {role: widget.get_component_rich_style(f"view--{role}") for role in ROLES} | {"": self.base}
        self.ramp, self.inks = ramp(widget.app)

    @classmethod
    def of(cls, widget: Widget) -> Paint:
        return cls(widget)

    def style(self, span: Span) -> Style:
        style = self.roles[span.role]
        if span.heat is None and span.under is None:
            return style
        under = self.ramp[round(span.under * STEPS)] if span.under is not None else None
        if span.heat is None:
            return style + Style(bgcolor=under)
        ink = self.ramp[round(span.heat * STEPS)]
        if span.role.startswith("chip"):
            return style + Style(bgcolor=ink, color=self.inks[round(span.heat * STEPS)])
        return style + Style(color=ink, bgcolor=under)


Ramp = dict[int, str]
_ramps: dict[tuple[str, ...], tuple[Ramp, Ramp]] = {}


def ramp(app: App[object]) -> tuple[Ramp, Ramp]:
    """Colours for -1..1 in steps, and the ink that reads best on each."""
    variables = app.theme_variables
    key = tuple(variables[name] for name in ("background", "foreground", "measured", "secondary"))
    if key not in _ramps:
        _ramps[key] = shades(*map(Color.parse, key))
    return _ramps[key]


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
