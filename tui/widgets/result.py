"""What is said below the picture: the bet, what became of it, what the run found or why there is none."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size
from textual.reactive import reactive
from textual.visual import VisualType
from textual.widget import Widget

from llm_holes.engine.frames import Frame
from llm_holes.engine.ipc.session import RunState
from llm_holes.lessons.catalog.schema import Bet
from llm_holes.tui.content import lines
from llm_holes.tui.draw.cost_line import cost_line
from llm_holes.tui.draw.spans import Row, Span, wrapped
from llm_holes.tui.widgets.differences import Differences
from llm_holes.tui.widgets.predict import PredictForm, Verdict


class Caption(Widget):
    """What to look at, or what became of the run, in a line or two, and what it cost."""

    frame: reactive[Frame | None] = reactive(None, always_update=True)
    run: reactive[RunState] = reactive(RunState())
    view: reactive[str] = reactive("")
    """The key of the view that is on the stage."""
    quiet: reactive[bool] = reactive(False)
    """Whether what the run found is not to be said: it would answer a bet that is still open."""

    def render(self) -> VisualType:
        return lines(self._rows(self.size.width))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows(width))

    def watch_frame(self) -> None:
        if len(self._rows(self.size.width)) != self.size.height:  # as high as before, it moves nothing
            self.refresh(layout=True)

    watch_run = watch_view = watch_quiet = watch_frame

    def _rows(self, across: int) -> list[Row]:
        width = max(across - 2, 20)
        said: list[Row] = []
        if self.frame is not None and self.frame.caption and not self.quiet:
            stale = self.run.active and not self.run.fresh
            said = [[Span(line, "dim" if stale else "measured")] for line in wrapped(self.frame.caption, width)]
        cost = self.frame.cost if self.frame is not None else None
        # what a picture in sight costs answers no bet on a later one
        if cost is not None and (cost.view == self.view or (said and not cost.view)):
            said += [[Span(line, "dim")] for line in wrapped(cost_line(cost, width), width)]
        return [*self._state(width), *said]

    def _state(self, width: int) -> list[Row]:
        run = self.run
        if run.phase == "failed":
            rows: list[Row] = [[Span(line, "strong")] for line in wrapped("! " + run.error, width)]
            hint = "r starts it again" if run.gone else run.hint
            return rows + [[Span(line, "dim")] for line in wrapped(hint, width) if hint]
        if run.phase == "queued":
            return [[Span("queued: runs as soon as the model is ready", "dim")]]
        if run.phase == "cancelled":
            return [[Span("stopped · ", "dim"), Span("r", "act-strong"), Span(" runs it again", "dim")]]
        if run.phase == "running" and not run.fresh:
            return [[Span("running again…" if self.frame is not None else "running…", "dim")]]
        if run.phase == "idle":
            return [[Span("r", "act-strong"), Span(" runs this on the model", "dim")]]
        return []


class Result(Vertical):
    """The bet's form while it is open; else the verdict, in what two compared runs differ, and the caption."""

    def __init__(self) -> None:
        super().__init__(id="result")
        # held rather than found: the engine's replies also come while the app is put together or taken apart
        self.form, self.verdict, self.caption = PredictForm(), Verdict(), Caption()
        self.differences = Differences()

    def compose(self) -> ComposeResult:
        yield self.form
        yield self.verdict
        yield self.differences
        yield self.caption

    def ask(self, bet: Bet | None) -> None:
        """Puts the question up, or takes it away."""
        if self.form.question is not bet:
            self.form.question = bet
        self.caption.display = bet is None
