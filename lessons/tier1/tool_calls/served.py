"""One message through our own harness around a model behind an API, and through the server's own tools beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.backends.backend import Backend, Capability
from llm_holes.engine.frames import Frame, Table, Text, Transcript, Turn
from llm_holes.engine.harness.calls import Call
from llm_holes.engine.numbers import exact, plural
from llm_holes.engine.proportion import wilson
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.served import OFFER
from llm_holes.lessons.shared.asking import cut_by
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier1.tool_calls.given import tools_of
from llm_holes.lessons.tier1.tool_calls.served_harness import Ours
from llm_holes.lessons.tier1.tool_calls.served_readings import NEEDED, Readings
from llm_holes.lessons.tier1.tool_calls.served_talk import Drawn, Talk
from llm_holes.lessons.tier1.tool_calls.served_tools import Theirs

HAPPENED, AGAIN = "what happened", "first answer again"
NEEDS: frozenset[Capability] = frozenset({"chat"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    HAPPENED: frozenset(),
    "what is read": NEEDED,
    AGAIN: frozenset({"seed"}),
}
BETS = frozenset({"valid_call_rate_free", "answer_uses_result"})
UNSEEN: Mapping[str, str] = {
    "held in the grammar": "An API does not show which tokens a grammar rules out.",
}
STOPPED = "A server stops its model after each turn, and lets nobody take that away."
UNTOLD = "No tools of the server's own: it takes no descriptions of them."
CONNECTIONS = 1


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    report, given = Report(), tools_of(p)
    title = cut_by(backend, "what happened, in tokens", "what happened, act by act")
    if not p["steps_in"]:
        report.show(*(Text("nobody steps in", f"{STOPPED} {OFFER}", key=key) for key in VIEWS))
        report.say(STOPPED)
        yield report.frame()
        return
    readings = Readings(backend)
    ours, theirs = Ours(backend, given, p, readings), Theirs(backend, given, p)
    talks = Talk(), Talk()
    for _ in ours.goes_on(talks[0]):
        yield _frame(report, title, talks, 0.2)
    if readings.read:
        report.measure(readings.measured())
        report.show_also(what_is_read=readings.view())
    if "tools" in backend.capabilities:
        for _ in theirs.goes_on(talks[1]):
            yield _frame(report, title, talks, 0.4)
    else:
        talks[1].turns.append(Turn("software", UNTOLD))
    if "seed" in backend.capabilities:
        ways = {"ours": ours.draw} | ({"server's": theirs.draw} if "tools" in backend.capabilities else {})
        found: dict[str, list[Drawn]] = {who: [] for who in ways}
        for n in range(p["trials"]):
            for who, draw in ways.items():
                found[who].append(draw(p["temperature"], p["seed"] + n))
            _tell(report, found, p)
            yield _frame(report, title, talks, 0.5 + 0.5 * (n + 1) / (p["trials"] + 1))
    yield _frame(report, title, talks, None)


def _tell(report: Report, found: Mapping[str, list[Drawn]], p: Mapping[str, Any]) -> None:
    """The first answer with many seeds."""
    ours = found["ours"]
    valid = sum(one.is_call for one in ours)
    low, high = wilson(valid, len(ours))
    report.measure(
        trials=len(ours), valid_call_rate_free=valid / len(ours), valid_call_free_low=low, valid_call_free_high=high,
        tool_ran_rate_free=sum(one.ran for one in ours) / len(ours),
    )  # fmt: skip
    rows = [
        (who, "✓" if one.is_call else "✗", "✓" if one.ran else "✗", one.text)
        for who, drawn in found.items()
        for one in drawn
    ]
    title = f"the first answer again, temperature {exact(p['temperature'])}, {plural(p['trials'], 'seed')} each"
    report.show(
        *(view for view in report.views if view.key != AGAIN),
        first_answer_again=Table(title, ("tools", "call", "tool ran", "what it wrote"), tuple(rows)),
    )


def _frame(report: Report, title: str, talks: tuple[Talk, Talk], progress: float | None) -> Frame:
    others = [view for view in report.views if view.key != HAPPENED]
    ours, theirs = talks
    report.show(Transcript(title, (*ours.turns, *theirs.turns), key=HAPPENED), *others)
    report.measure(ours.measured())
    did = f"ran the tool: {spelt(ours.result[:40])}" if isinstance(ours.found, Call) else "ran nothing"
    beside = f" With the server's own tools: {spelt(theirs.result[:20])}." if theirs.result else ""
    report.say(f"Our harness {did}.{beside}")
    return report.frame(progress)
