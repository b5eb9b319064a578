"""Records merge by union: in any order, any number of times, with the same result."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.learner.events import (
    Answered,
    Event,
    Graded,
    Hinted,
    Predicted,
    Ran,
    Read,
    Record,
    Resume,
    Skipped,
    decode,
    encode,
    merged,
)
from llm_holes.lessons.learner.mastery import standing, statuses, totals
from llm_holes.lessons.learner.spaced_repetition import calibration, queue

LESSONS = catalog.load()
IDS = st.sampled_from("abcdefgh")
TIMES = st.sampled_from([1.0, 2.0, 2.5, 1e9])
NAMES = st.sampled_from(["tokens", "attention", "gone"])
front = LESSONS["tokens"].data
assert front is not None
TEXTS = st.sampled_from([question.question for question in front.quiz] + ["reworded"])
CONFIDENCE = st.integers(50, 100)
COMMON = {"lesson": NAMES, "id": IDS, "at": TIMES}

EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Read, **COMMON),
    st.builds(Ran, **COMMON),
    st.builds(Skipped, **COMMON),
    st.builds(Predicted, **COMMON, answer=st.floats(0, 3), said=st.text(max_size=3), confidence=CONFIDENCE),
    st.builds(Graded, **COMMON, prediction=IDS, was=st.just("1"), right=st.booleans()),
    st.builds(Hinted, **COMMON, question=TEXTS, count=st.integers(1, 3)),
    st.builds(
        Answered,
        **COMMON,
        question=TEXTS,
        option=st.integers(0, 2),
        said=st.text(max_size=3),
        right=st.none() | st.booleans(),
        confidence=st.none() | CONFIDENCE,
    ),
)
POINTS = st.none() | st.builds(Resume, lesson=NAMES, at=TIMES, scroll=st.dictionaries(IDS, st.integers(), max_size=2))
RECORDS = st.builds(
    lambda events, resume: merged(Record(events=tuple(events), resume=resume)), st.lists(EVENTS, max_size=8), POINTS
)
modest = settings(max_examples=80, derandomize=True, deadline=None)


@modest
@given(RECORDS, RECORDS, RECORDS)
def test_merging_does_not_depend_on_order_or_number(a: Record, b: Record, c: Record) -> None:
    assert merged(a, b) == merged(b, a)
    assert merged(a, merged(b, c)) == merged(merged(a, b), c) == merged(c, a, b)
    assert merged(a, a) == a == merged(a, Record())
    assert merged(merged(a, b), b) == merged(a, b)


@modest
@given(RECORDS, RECORDS)
def test_merging_loses_no_event(a: Record, b: Record) -> None:
    assert {e.id for e in merged(a, b).events} == {e.id for record in (a, b) for e in record.events}


@modest
@given(RECORDS)
def test_a_record_comes_back_from_its_bytes(record: Record) -> None:
    assert decode(encode(record)) == record


@modest
@given(RECORDS)
def test_every_fold_takes_any_events(record: Record) -> None:
    found = statuses(LESSONS, record.events)
    assert found.keys() == LESSONS.lessons.keys()
    for lesson in LESSONS.lessons.values():
        assert standing(lesson, record.events).status == found[lesson.id]
    assert totals(LESSONS, record.events).read == sum(status != "unseen" for status in found.values())
    assert [item.due for item in queue(record.events)] == sorted(item.due for item in queue(record.events))
    assert 0 <= (calibration(record.events).brier or 0) <= 1
