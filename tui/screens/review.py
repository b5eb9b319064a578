"""How far the learner is: totals, how well confidence fits, and the questions that are due."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from llm_holes.engine.numbers import figure, plural
from llm_holes.lessons.catalog.catalog import Catalog
from llm_holes.lessons.learner.events import Event
from llm_holes.lessons.learner.mastery import Totals, totals
from llm_holes.lessons.learner.spaced_repetition import DAY, Calibration, Item, calibration, due, queue
from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import Row, Span, fit
from llm_holes.tui.screens.dialog import Dialog
from llm_holes.tui.screens.help import Sheet

BAR = 24


class ReviewScreen(Dialog[bool]):
    """Gives True if the learner wants to be asked what is due.

    Args:
        events: what the learner did, oldest first.
        now: Unix time.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "ask", "ask", tooltip="Ask the questions that are due", id="review-ask")
    ]

    def __init__(self, catalog: Catalog, events: tuple[Event, ...], now: float) -> None:
        super().__init__()
        self.waiting = due(events, now, catalog)
        later = [item for item in queue(events) if item not in self.waiting]
        self.rows = [
            *due_rows(catalog, self.waiting, later[0].due - now if later else None),
            *total_rows(totals(catalog, events)),
            *calibration_rows(calibration(events)),
        ]

    def compose(self) -> ComposeResult:
        sheet = Sheet(Static(lines(self.rows)), classes="dialog")
        sheet.border_title = "review"
        ask = "enter asks them · " if self.waiting else ""
        sheet.border_subtitle = f"{ask}↓ j  ↑ k scroll · esc close"
        yield sheet

    def action_ask(self) -> None:
        if self.waiting:
            self.dismiss(True)


def due_rows(catalog: Catalog, waiting: tuple[Item, ...], wait: float | None) -> list[Row]:
    """`wait`: seconds until the next question after those waiting comes; None if none will."""
    count = len(waiting)
    rows: list[Row] = [[Span(f"{plural(count, 'question')} due" if count else "nothing is due", "strong")]]
    rows += [[Span(f"  {item.question}"), Span(f"  {catalog[item.lesson].title}", "dim")] for item in waiting]
    if wait is not None:
        rows.append([Span(f"  the next one comes in {plural(round(max(wait, 0) / DAY, 1), 'day')}", "dim")])
    return [*rows, [Span("  a question comes back when one in ten would be forgotten", "dim")], []]


def total_rows(found: Totals) -> list[Row]:
    rows: list[Row] = [[Span("lessons", "strong")]]
    for tier in found.tiers:
        rows.append(
            [
                Span(fit(f"  tier {tier.tier}", 12), "dim"),
                Span(f"{tier.passed} passed"),
                Span(f" · {tier.run} run · {tier.read} read · of {tier.lessons}", "dim"),
            ]
        )
    return [*rows, []]


def calibration_rows(found: Calibration) -> list[Row]:
    """How often right at which confidence; the dot is where the bar would end if confidence fitted."""
    rows: list[Row] = [[Span("how sure, and how often right", "strong")]]
    if not found.n:
        return [*rows, [Span("  no prediction has been decided yet", "dim")]]
    for bucket in found.buckets:
        head = Span(fit(f"  {bucket.confidence} %", 9), "dim")
        if bucket.share is None:
            rows.append([head, Span("·".rjust(round(BAR * bucket.confidence / 100)), "faint")])
            continue
        filled = round(BAR * bucket.share)
        wanted = round(BAR * bucket.confidence / 100) - 1
        bar = "".join("█" if n < filled else "·" if n == wanted else " " for n in range(BAR))
        rows.append([head, Span(bar, "measured"), Span(f"  {bucket.right} of {bucket.n} right")])
    assert found.brier is not None
    return [*rows, [Span(f"  Brier score {figure(found.brier)}: 0 is perfect, 0.25 is a coin", "dim")]]
