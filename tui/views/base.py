"""What all views have in common: rows of spans, drawn line by line, and a cursor for those that can be walked."""

from __future__ import annotations

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
from llm_holes.tui.draw.spans import Row, Span
from llm_holes.tui.views.per_width import PerWidth

V = TypeVar("V", bound=View)

ROLES = (
    "title", "dim", "strong", "muted", "measured", "measured-soft", "chip0", "chip1", "cursor", "pick", "plus", "minus",
    *HUES,
)  # fmt: skip
STEPS = 32


class ViewWidget(Widget, Generic[V]):
    """Draws one view. Subclasses give `layout_rows`; assigning `view` redraws in place and keeps the cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"view--{role}" for role in ROLES}
    ALLOW_SELECT = False

    view: reactive[V] = reactive[V](None, layout=True, always_update=True)  # type: ignore[arg-type]

    def __init__(self, view: V) -> None:
        super().__init__()
        self.cached_rows = PerWidth(self.layout_rows)
        self.set_reactive(ViewWidget.view, view)  # type: ignore[misc]  # the reactive itself, not a value of it
        self.prepare(view)

    def prepare(self, view: V) -> None:
        """Called with every new view before it is drawn."""

    def layout_rows(self, width: int) -> list[Row]:
        raise NotImplementedError

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
        strip = Strip([Segment(span.text, paint.style(span)) for span in self.row(y, width)])
        return strip.adjust_cell_length(width, base)


class Paint:
    """Turns a span's role and heat into a style under the current theme."""

    def __init__(self, widget: Widget) -> None:
        self.base = widget.rich_style
        self.roles = {role: widget.get_component_rich_style(f"view--{role}") for role in ROLES} | {"": self.base}
        self.ramp = ramp(widget.app)

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
            return style + Style(bgcolor=ink, color=self.ramp[0] if span.heat > 0.55 else None)
        return style + Style(color=ink, bgcolor=under)


_ramps: dict[tuple[str, str], dict[int, str]] = {}


def ramp(app: App[object]) -> dict[int, str]:
    """Colours for -1..1 in steps: from the background to the measured colour, and to grey below zero."""
    variables = app.theme_variables
    key = (variables["background"], variables["measured"])
    if key not in _ramps:
        ground, hot = Color.parse(variables["panel"]), Color.parse(variables["measured"])
        cold = Color.parse(variables["secondary"])
        _ramps[key] = {n: ground.blend(hot if n >= 0 else cold, abs(n) / STEPS).hex6 for n in range(-STEPS, STEPS + 1)}
    return _ramps[key]


def glyphs_only(app: App[object]) -> bool:
    """Whether shades must be characters: without colours, or with sixteen, which hold no ramp."""
    return bool(app.no_color) or app.console.color_system not in {"truecolor", "256"}
