from __future__ import annotations

from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.ipc.session import EngineState, RunState
from llm_holes.engine.numbers import duration, plural, size
from llm_holes.tui.content import content
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.draw.spans import EIGHTHS, Row, Span, fit, plain

NAME = "llm-holes"
BAR = 12
ROOMY = 100


def bar(share: float, width: int = BAR) -> str:
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()).ljust(width, "·")


def state_row(engine: EngineState, run: RunState, seconds: float) -> Row:
    """Model and state: what the engine is doing now."""
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
    threads = plural(model.threads, "thread")
    row = [Span(f"{visible(model.name)} · {visible(model.dtype)} · {threads} · ", "dim")]
    if run.phase == "running":
        row.append(Span(f"running {duration(1000 * seconds)}", "strong"))
        if run.progress is not None:
            row.append(Span(f"  {bar(run.progress)}", "measured"))
        return row
    return [*row, Span("ready", "")]


def _queued(run: RunState) -> Row:
    return [Span(" · ", "dim"), Span("run queued", "strong")] if run.phase == "queued" else []


def _why(engine: EngineState) -> Span:
    return Span(" · " + visible(engine.message), "dim")


def _again(what: str) -> Row:
    return [Span("r", "act-strong"), Span(f" {what}", "dim")]


class StatusLine(Widget):
    """The top line: the program, the model and what it does, and how far the learner is."""

    engine: reactive[EngineState] = reactive(EngineState())
    run: reactive[RunState] = reactive(RunState())
    seconds: reactive[float] = reactive(0.0)
    holes: reactive[int] = reactive(0)
    progress: reactive[tuple[int, int]] = reactive((0, 0))
    """How many lessons were run, passed ones included, and how many passed."""
    due: reactive[int] = reactive(0)
    """How many questions have come back."""

    def render(self) -> VisualType:
        right = self.counts()
        room = self.size.width - len(NAME) - len(right) - 6
        state = fitted(state_row(self.engine, self.run, self.seconds), room)
        space = " " * max(room - len(plain(state)), 0)
        return content([Span(NAME, "strong"), Span("   "), *state, Span(space + "   "), Span(right, "dim")])

    def counts(self) -> str:
        due = f" · {self.due} due · v" if self.due else ""
        holes = f"{self.holes} holes"
        run, passed = self.progress
        if not run and not passed:
            return holes + due
        if self.size.width < ROOMY:
            return f"{passed}/{self.holes} passed{due}"
        return f"{holes} · {run} run · {passed} passed{due}"


def fitted(row: Row, width: int) -> Row:
    """The row cut to a width, span by span."""
    kept: Row = []
    for span in row:
        if len(span.text) > width:
            return [*kept, span._replace(text=fit(span.text, max(width, 0)))]
        kept.append(span)
        width -= len(span.text)
    return kept
