"""Reaching a step sets what it says; a bet is asked over its own settings; later views stay closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_holes.engine.ipc.messages import Case
from llm_holes.lessons.catalog.catalog import Lesson, read
from llm_holes.lessons.learner.learner import Learner
from tests.support import gallery, lesson_files
from tests.support.bench import Bench

STEPS = """[[steps]]
view = "first"

[[steps]]
view = "second"
settings = { layer = 5 }

[[steps]]
view = "third"
[steps.bet]
question = "How many?"
measurement = "tokens"
settings = { head = 1 }
"""


@pytest.fixture
def heads(tmp_path: Path) -> Lesson:
    toml = gallery.lesson("Attention", "", 1, gallery.TEXT + gallery.HEAD).replace('see_also = ["embeddings"]', "")
    start, end = toml.index("[[steps]]"), toml.index("[[quiz]]")
    body = gallery.BODY.replace("](hole:embeddings)", "](hole:heads)")
    lesson_files.write(tmp_path, "tier0/heads", toml[:start] + STEPS + "\n" + toml[end:], body)
    return read(tmp_path)["heads"]


@pytest.fixture
def bench(heads: Lesson, tmp_path: Path) -> Bench:
    learner = Learner()
    learner.open(tmp_path / "state")
    return Bench(read(tmp_path), learner)


def test_a_step_sets_its_own_settings_and_those_of_other_steps_go_back(bench: Bench, heads: Lesson) -> None:
    bench.settings.change(heads, {"text": "mine", "layer": 2})
    bench.steps.enter(heads, 1)
    assert (bench.settings.of(heads)["layer"], bench.settings.of(heads)["text"]) == (5, "mine")
    bench.steps.enter(heads, 0)
    assert (bench.settings.of(heads)["layer"], bench.settings.of(heads)["text"]) == (12, "mine")


def test_a_bet_puts_up_its_own_case_and_gives_the_learners_settings_back(bench: Bench, heads: Lesson) -> None:
    bench.settings.change(heads, {"text": "mine", "head": 2})
    bench.steps.enter(heads, 2)
    assert bench.settings.of(heads) == heads.defaults() | {"head": 1}
    assert bench.steps.bet(heads) is heads.data.bets[0]
    bench.steps.enter(heads, 1)
    assert bench.settings.of(heads) == heads.defaults() | {"text": "mine", "head": 2, "layer": 5}


def test_a_bet_waits_while_something_else_is_set_and_comes_back(bench: Bench, heads: Lesson) -> None:
    bench.steps.enter(heads, 2)
    bench.settings.change(heads, {"head": 0})
    assert bench.steps.bet(heads) is None
    bench.settings.change(heads, {"head": 1})
    assert bench.steps.bet(heads) is not None


def test_a_bet_that_was_decided_is_not_put_up_again(bench: Bench, heads: Lesson) -> None:
    bench.steps.enter(heads, 2)
    bench.runs.decide(heads, 3.0, 70)
    assert bench.steps.bet(heads) is None
    bench.settings.change(heads, {"text": "mine"})
    bench.steps.enter(heads, 2)
    assert bench.settings.of(heads)["text"] == "mine"


def test_nothing_is_asked_or_closed_while_a_case_of_the_game_is_open(bench: Bench, heads: Lesson) -> None:
    bench.game.begin(Case(7, 1))
    bench.steps.enter(heads, 2)
    assert bench.steps.bet(heads) is None
    bench.game.intact = True
    assert bench.steps.bet(heads) is None
    assert bench.steps.closed(heads) == frozenset()


def test_views_of_later_steps_are_closed_until_their_step_is_reached(bench: Bench, heads: Lesson) -> None:
    bench.steps.enter(heads, 0)
    assert bench.steps.closed(heads) == {"second", "third"}
    bench.steps.enter(heads, 1)
    assert bench.steps.closed(heads) == {"third"}
    bench.steps.enter(heads, 0)
    assert bench.steps.closed(heads) == {"third"}
    assert not bench.steps.whole(heads)
    bench.steps.enter(heads, 2)
    assert bench.steps.whole(heads)
