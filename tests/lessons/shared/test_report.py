"""What a run has found so far becomes frames, each complete and none changed afterwards."""

from __future__ import annotations

from llm_holes.engine.frames import Text
from llm_holes.lessons.shared.report import Report

FIRST, SECOND = Text("first", ""), Text("second", "")


def test_a_frame_carries_all_that_was_said_shown_and_measured() -> None:
    report = Report()
    report.measure({"tokens": 3}, kl_nats=0.5)
    report.show(FIRST)
    report.show_also(SECOND)
    report.say("Three tokens.")
    report.say_also("And a half.")
    frame = report.frame(0.5)
    assert frame.caption == "Three tokens. And a half."
    assert frame.views == (FIRST, SECOND)
    assert frame.measured == {"tokens": 3, "kl_nats": 0.5}
    assert frame.progress == 0.5
    assert report.frame().progress is None


def test_a_frame_stays_as_it_was_when_the_report_goes_on() -> None:
    report, found = Report(), [1.0]
    report.measure(losses=found, tokens=3)
    report.show(FIRST)
    report.say("One loss.")
    frame = report.frame()
    found.append(2.0)
    report.measure(tokens=4)
    report.show(SECOND)
    report.say("Two losses.")
    assert (frame.caption, frame.views, frame.measured) == ("One loss.", (FIRST,), {"losses": [1.0], "tokens": 3})
    assert report.frame().measured == {"losses": [1.0, 2.0], "tokens": 4}


def test_what_was_measured_first_is_published_first() -> None:
    report = Report()
    report.measure(b=1, a=2)
    report.measure({"c": 3}, b=4)
    assert list(report.frame().measured.items()) == [("b", 4), ("a", 2), ("c", 3)]
