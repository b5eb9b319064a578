"""What the race of the tokenizers may claim on any machine."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Curve
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from llm_holes.lessons.tier3.tokenization_perf.timings import time_size, tokenizers_afresh
from tests.support.lessons import frames, measured


@pytest.mark.parametrize("preset", ["", "a line of code", "one word without end", "Chinese"])
def test_three_programs_give_the_same_ids(engine: Engine, preset: str) -> None:
    assert measured(engine, "tokenization-perf", preset)["ids_equal"] is True


def test_a_difference_would_be_noticed(engine: Engine) -> None:
    trace, _ = tokenizers_afresh(engine, "some text")
    trace.encoders["our Python"] = lambda text: [0, *engine.tokenizer.encode(text)]
    time_size(engine, trace, "some text")
    assert trace.equal is False


def test_the_trap_is_quadratic_and_the_heap_avoids_it(engine: Engine) -> None:
    last = frames(engine, "tokenization-perf")[-1]
    curve = next(v for v in last.views if isinstance(v, Curve) and "one word" in v.title)
    naive, heap = curve.series
    assert naive.x[-1] == heap.x[-1] == 8 * naive.x[0]
    assert naive.y[-1] / naive.y[0] > 30, "near 64"
    assert heap.y[-1] / heap.y[0] < 20, "near 8"
    assert last.measured["doubled_word_naive"] > 2.5


def test_tokenizing_is_next_to_nothing_of_an_answer(engine: Engine) -> None:
    m = measured(engine, "tokenization-perf")
    assert 0 < m["share_of_answer_time"] < 0.01
    assert m["share_of_answer_time"] == pytest.approx(m["tokenize_ms"] / (m["tokenize_ms"] + m["answer_ms"]))
    assert m["tiktoken_mb_per_s"] > m["python_mb_per_s"]


def test_each_size_is_a_frame_with_its_spread(engine: Engine) -> None:
    found = frames(engine, "tokenization-perf")
    curve = found[2].views[0]
    assert isinstance(curve, Curve)
    for line in curve.series:
        assert line.x == (1000.0, 4000.0, 16000.0)
        assert all(low <= y <= high for low, y, high in zip(line.low, line.y, line.high, strict=True))


@pytest.mark.parametrize("text", ["a", "🙂", " ", "\n", "before\x16after"])
def test_any_text(engine: Engine, text: str) -> None:
    m = measured(engine, "tokenization-perf", text=text, kilobytes=1)
    assert m["ids_equal"] is True


def test_the_race_can_be_cancelled(engine: Engine) -> None:
    lesson = catalog.load()["tokenization-perf"]
    stop = False
    run = catalog.experiment(lesson).run(engine.cancellable(lambda: stop), validated(lesson, {}, engine.info))
    next(run)
    stop = True
    with pytest.raises(Cancelled):
        next(run)
