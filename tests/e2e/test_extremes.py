"""Each control of each lesson as far as it goes, on the real engine: the run ends within 120 s of processor time and
6 GiB, with something new to show at least every three seconds, and stops within a second when asked to; or it is
refused before it begins, with what it would take. All of it in `just soak`; else what is refused and one lesson."""

from __future__ import annotations

import pytest

from llm_holes.engine.ipc.messages import ModelInfo, Ready
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.shared.passes import PASSES
from tests.support.extremes import Case, cases, line, long_text, take
from tests.support.soak import examples
from tests.support.talk import Talk

LESSONS = sorted(catalog.load().lessons, key=lambda lesson: lesson != "vectors")


def model(talk: Talk) -> ModelInfo:
    (ready,) = (reply for reply in talk.replies if isinstance(reply, Ready))
    return ready.model


async def test_a_text_that_would_take_minutes_is_refused_before_the_run(engine: Talk) -> None:
    """What reads its text often; a text of 4,000 tokens takes 15 s once."""
    for number, lesson in enumerate([name for name in PASSES if PASSES[name].passes >= 19 or PASSES[name].each], 1):
        taken = await take(engine, Case(lesson, "text", {"text": long_text()}), 2 * number)
        assert "4,001 tokens would take about" in taken.refused
        assert not taken.faults
    taken = await take(engine, Case("kv-cache", "context", {"context_tokens": 4096}), 100)
    assert "reads its text about 20 times: 4,096 tokens would take about" in taken.refused


@pytest.mark.parametrize("lesson", LESSONS[: examples(1)])
async def test_no_control_can_be_turned_too_far(lesson: str, engine: Talk) -> None:
    made = []
    for number, case in enumerate(cases(catalog.load()[lesson], model(engine)), 1):
        made.append(await take(engine, case, 2 * number))
        print(line(made[-1]))
    assert [line(taken) for taken in made if taken.faults] == []
