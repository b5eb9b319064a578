"""A and B: what is pinned, and what it is compared with."""

from __future__ import annotations

from pathlib import Path

from llm_holes.engine.frames import Frame, Text
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.notebook import notebook
from tests.support.bench import Bench


def run(bench: Bench, lesson: Lesson, tokens: int) -> None:
    bench.runs.decide(lesson, None, 50)
    bench.runs.request(lesson)
    bench.finish(lesson, Frame(f"{tokens} tokens", (), {"tokens": tokens}))


def test_there_is_nothing_to_pin_before_a_run_is_done(bench: Bench, tokens: Lesson) -> None:
    bench.lab.pin(tokens)
    assert bench.lab.pinned is None
    bench.runs.decide(tokens, None, 50)
    bench.runs.request(tokens)
    assert bench.lab.finished(tokens) is None


def test_a_pinned_run_stands_alone_until_another_is_done(bench: Bench, tokens: Lesson) -> None:
    run(bench, tokens, 11)
    bench.lab.pin(tokens)
    a = bench.lab.a(tokens)
    assert a is not None
    assert a.frame.caption == "11 tokens"
    assert bench.lab.alone(tokens)
    assert bench.lab.pair(tokens) is None
    assert bench.lab.comparison(tokens) == ()
    bench.runs.request(tokens)
    assert (bench.lab.a(tokens), bench.lab.alone(tokens), bench.lab.pair(tokens)) == (a, True, None)
    run(bench, tokens, 12)
    titles = [view.title for view in bench.lab.comparison(tokens)]
    assert titles[0].startswith("A | B")
    assert not bench.lab.alone(tokens)
    bench.lab.pin(tokens)
    assert bench.lab.comparison(tokens) == ()
    assert bench.lab.a(tokens) is None


def test_what_is_closed_is_not_compared(bench: Bench, tokens: Lesson) -> None:
    for text in ("one", "two"):
        bench.runs.decide(tokens, None, 50)
        bench.runs.request(tokens)
        views = (Text("shown", text, key="first"), Text("closed", text, key="third"))
        bench.finish(tokens, Frame("done", views, {"tokens": len(text), "answer": text}))
        if text == "one":
            bench.lab.pin(tokens)
    pair = bench.lab.pair(tokens, frozenset({"third"}), frozenset({"answer"}))
    assert pair is not None
    for run_ in pair:
        assert [view.key for view in run_.frame.views] == ["first"]
        assert set(run_.frame.measured) == {"tokens"}
    told = [view.title for view in bench.lab.comparison(tokens, frozenset({"third"}), frozenset({"answer"}))]
    assert "A | B: shown" in told
    assert "A | B: closed" not in told


def test_another_lessons_run_takes_the_place_of_a(bench: Bench, tokens: Lesson) -> None:
    other = bench.catalog["quantization"]
    run(bench, tokens, 11)
    bench.lab.pin(tokens)
    bench.session.leave()
    assert bench.lab.a(other) is None
    assert bench.lab.comparison(other) == ()
    run(bench, other, 5)
    bench.lab.pin(other)
    assert bench.lab.pinned is not None
    assert bench.lab.pinned.lesson == "quantization"


def test_a_kept_run_is_in_the_notebook(bench: Bench, tokens: Lesson, state: Path) -> None:
    assert "no finished run" in bench.lab.keep(tokens)
    run(bench, tokens, 11)
    assert "notebook --markdown" in bench.lab.keep(tokens)
    (entry,), notices = notebook.read()
    assert (entry.lesson, entry.measured["tokens"], notices) == ("tokens", 11, ())
