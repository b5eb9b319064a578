from __future__ import annotations

from rich.cells import cell_len
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.ipc.session import EngineState, RunState
from llm_holes.engine.numbers import duration, plural, size
from llm_holes.engine.work import Doing
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.tui.content import content
from llm_holes.tui.draw.doing import doing_text
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import EIGHTHS, Row, Span, fitted, plain

NAME = "llm-holes"
BAR = 12
ROOMY = 100


def bar(share: float, width: int = BAR) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(width, "·")


def state_row(engine: EngineState, run: RunState, seconds: float, brief: bool = False, silent: int = 0) -> Row:
    """Model and state: what the engine is doing now, and for how many seconds there was no word of it; `brief`, without
    the model."""
    if silent:
        return [Span(f"! no word from the engine for {silent} s", "strong"), *_queued(run)]
    if engine.phase == "downloading":
        got = f"{size(engine.done)} of {size(engine.total)}" if engine.total else size(engine.done)
        meter = [Span("  " + bar(engine.done / engine.total), "measured")] if engine.total else []
        return [Span("downloading the model ", "dim"), Span(got), *meter, *_queued(run)]
    if engine.phase == "stopped":
        return [Span("! engine stopped · ", "strong"), *_again("starts it again"), _why(engine)]
    if engine.phase == "unavailable":
        return [Span("! no model · ", "strong"), *_again("tries again"), _why(engine)]
    if engine.model is None:
        return [
            Span(engine.phase, "strong"),
            Span(f" · {visible(engine.message)}" if engine.message else "", "dim"),
            *_queued(run),
        ]
    model = engine.model
    on = plural(model.threads, "thread") if model.device == "cpu" else visible(model.device)
    parts = (visible(model.name), visible(model.dtype), on)
    row = [] if brief else [Span("".join(f"{part} · " for part in parts if part), "dim")]
    return [*row, *_running(run, seconds)] if run.phase == "running" else [*row, Span("ready", "")]


def _running(run: RunState, seconds: float) -> Row:
    return [Span(f"running {duration(1000 * seconds)}", "strong"), *_meter(run)]


def _meter(run: RunState) -> Row:
    return [Span(f"  {bar(run.progress)}", "measured")] if run.progress is not None else []


def doing_row(run: RunState, seconds: float, doing: Doing, room: int) -> Row:
    """What a run that takes long does just now: for how long, and of how much that is, as far as there is room."""
    took = duration(1000 * seconds)
    for before in (f"running {took} · ", f"{took} · ", ""):
        if said := doing_text(doing, room - len(before)):
            meter = _meter(run) if room - len(before) - cell_len(said) >= BAR + 2 else []
            return [Span(before, "strong"), Span(said), *meter]
    return _running(run, seconds)


def _queued(run: RunState) -> Row:
    return [Span(" · ", "dim"), Span("run queued", "strong")] if run.phase == "queued" else []


def _why(engine: EngineState) -> Span:
    return Span(" · " + visible(engine.message), "dim")


def _again(what: str) -> Row:
    return [Span("r", "act-strong"), Span(f" {what}", "dim")]


DOT, TO_COME = "●", "○"


class StatusLine(Widget):
    """The top line: the lesson and its step, what the engine does, and how far the learner is."""

    engine: reactive[EngineState] = reactive(EngineState())
    run: reactive[RunState] = reactive(RunState())
    lesson: reactive[Lesson | None] = reactive(None)
    step: reactive[int] = reactive(0)
    seconds: reactive[float] = reactive(0.0)
    silent: reactive[int] = reactive(0)
    """For how many seconds there was no word of the engine."""
    doing: reactive[Doing | None] = reactive(None)
    """What the run does just now, once it has taken a while."""
    holes: reactive[int] = reactive(0)
    passed: reactive[int] = reactive(0)
    due: reactive[int] = reactive(0)
    """How many questions have come back."""
    tour: reactive[tuple[int, int] | None] = reactive(None)
    """On the tour: the stop, from 1 on, and how many there are."""

    def render(self) -> VisualType:
        width = self.size.width - 2
        right = self.counts(width)
        left = self.place(width)
        room = width - cell_len(plain(left)) - len(right) - 4
        state = fitted(self.state(room), max(room, 0))
        space = " " * max(room - cell_len(plain(state)), 0)
        return content([*left, Span("  "), Span(space), *state, Span("  "), Span(right, "dim")])

    def place(self, width: int) -> Row:
        """The lesson's title, and a dot for each of its steps, or which stop of the tour it is."""
        if self.lesson is None:
            return [Span(NAME, "strong")]
        if self.engine.phase != "ready":  # what it says needs the room
            return [Span(self.lesson.short, "strong")]
        count = len(self.lesson.steps)
        title = self.lesson.title if cell_len(self.lesson.title) <= width // 3 else self.lesson.short
        if self.tour is not None:
            stop, stops = self.tour
            return [Span(title, "strong"), Span(f"  tour {stop} of {stops}", "act"), Span(" · esc leaves it", "dim")]
        dots = DOT * (self.step + 1) + TO_COME * (count - self.step - 1)
        said = f" step {self.step + 1} of {count}" if width >= ROOMY else f" {self.step + 1} of {count}"
        return [Span(title, "strong"), Span("  "), Span(dots, "act"), Span(said, "dim")]

    def state(self, room: int) -> Row:
        """What the engine does; in a narrow place without the model's name, and so where there is more to tell."""
        if self.run.phase == "running" and self.doing is not None and not self.silent:
            return doing_row(self.run, self.seconds, self.doing, room)
        return state_row(self.engine, self.run, self.seconds, brief=room < ROOMY // 2, silent=self.silent)

    def counts(self, width: int) -> str:
        due = f" · {self.due} due v" if self.due else ""
        roomy = width >= ROOMY and self.engine.phase == "ready"
        return (f"{self.passed} of {self.holes} passed" if roomy else f"{self.passed} of {self.holes}") + due
