"""A wish to run passes the game's case, then the bet, then the session; nothing overtakes."""

from __future__ import annotations

import pytest

from llm_holes.engine.frames import Frame
from llm_holes.engine.ipc.client import Died
from llm_holes.engine.ipc.messages import Cancelled, Case, Failed, Ready, Unavailable
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from llm_holes.lessons.learner.events import Graded, Named, Predicted, Probed, Ran, Skipped
from tests.support.bench import Bench
from tests.support.fake_engine import MODEL

FRAME = Frame("11 tokens", (), {"tokens": 11})


@pytest.fixture(autouse=True)
def at_the_bet(bench: Bench, tokens: Lesson) -> None:
    bench.steps.enter(tokens, 1)


def kinds(bench: Bench) -> list[type]:
    return [type(event) for event in bench.learner.events]


def test_nothing_runs_before_the_bet(bench: Bench, tokens: Lesson) -> None:
    assert bench.runs.request(tokens) is tokens.data.bets[0]
    assert bench.made == []
    assert bench.session.frame is None


def test_without_a_model_a_wish_to_run_loads_it_again_and_the_bet_comes_when_it_is_there(
    bench: Bench, tokens: Lesson
) -> None:
    bench.session.reply(Unavailable("no network", ""))
    assert bench.runs.bet(tokens) is None
    assert bench.runs.request(tokens) is None
    assert bench.session.engine.phase == "starting"
    assert bench.restarts == 1
    bench.session.reply(Ready(MODEL))
    assert bench.made == []
    assert bench.runs.waits(tokens)
    assert bench.runs.request(tokens) is tokens.data.bets[0]
    assert not bench.runs.waits(tokens)


def test_without_a_model_a_lesson_that_was_bet_on_runs_as_soon_as_there_is_one(bench: Bench, tokens: Lesson) -> None:
    bench.runs.decide(tokens, None, 50)
    bench.session.reply(Unavailable("no network", ""))
    assert bench.runs.request(tokens) is None
    bench.session.reply(Ready(MODEL))
    assert [run.lesson for run in bench.made] == ["tokens"]
    assert not bench.runs.waits(tokens)


def test_a_probe_of_the_game_waits_for_the_model_without_a_bet(bench: Bench, tokens: Lesson) -> None:
    bench.game.begin(Case(7, 1))
    bench.session.reply(Unavailable("no network", ""))
    assert bench.runs.request(tokens) is None
    bench.session.reply(Ready(MODEL))
    assert [run.case for run in bench.made] == [Case(7, 1)]


def test_a_bet_is_graded_by_the_run_it_was_made_for(bench: Bench, tokens: Lesson) -> None:
    bench.runs.request(tokens)
    bench.runs.decide(tokens, 11.0, 70)
    assert bench.runs.request(tokens) is None
    assert bench.made[0].settings == tokens.defaults()
    ended = bench.finish(tokens, FRAME)
    assert ended is not None
    assert ended.judged is not None
    assert ended.judged.outcome.right is True
    assert kinds(bench) == [Predicted, Ran, Graded]


def test_a_bet_is_not_graded_by_a_run_with_other_settings(bench: Bench, tokens: Lesson) -> None:
    bench.runs.request(tokens)
    bench.runs.decide(tokens, 11.0, 70)
    bench.settings.change(tokens, {"text": "another text"})
    bench.runs.request(tokens)
    ended = bench.finish(tokens, FRAME)
    assert ended is not None
    assert ended.judged is None
    assert kinds(bench) == [Predicted, Ran]
    bench.settings.change(tokens, tokens.defaults())
    bench.runs.request(tokens)
    ended = bench.finish(tokens, FRAME)
    assert ended is not None
    assert ended.judged is not None


def test_a_bet_is_not_asked_over_other_settings(bench: Bench, tokens: Lesson) -> None:
    bench.settings.change(tokens, {"text": "another text"})
    assert bench.runs.request(tokens) is None
    assert bench.made[0].settings["text"] == "another text"
    bench.settings.change(tokens, tokens.defaults())
    assert bench.runs.request(tokens) is tokens.data.bets[0]


def test_a_run_that_shows_what_another_would_is_known(bench: Bench, tokens: Lesson) -> None:
    bench.runs.decide(tokens, None, 50)
    assert not bench.runs.known(tokens)
    bench.runs.request(tokens)
    bench.finish(tokens, FRAME)
    assert bench.runs.known(tokens)
    bench.settings.change(tokens, {"text": "another text"})
    assert not bench.runs.known(tokens)


def test_a_skipped_question_is_not_asked_again(bench: Bench, tokens: Lesson) -> None:
    bench.runs.decide(tokens, None, 50)
    assert bench.runs.request(tokens) is None
    ended = bench.finish(tokens, FRAME)
    assert ended is not None
    assert ended.judged is None
    assert kinds(bench) == [Skipped, Ran]


def test_frames_in_between_end_nothing(bench: Bench, tokens: Lesson) -> None:
    from llm_holes.engine.ipc.messages import Framed

    bench.runs.decide(tokens, None, 50)
    bench.runs.request(tokens)
    assert bench.runs.received(Framed(bench.made[0].id, FRAME), tokens) is None
    assert bench.runs.measured(tokens) is None


def test_a_run_that_failed_or_was_cancelled_grades_nothing(bench: Bench, tokens: Lesson) -> None:
    for reply in (Failed, Cancelled):
        bench.runs.decide(tokens, 11.0, 70)
        bench.runs.request(tokens)
        number = bench.made[-1].id
        ended = bench.runs.received(Failed(number, "no") if reply is Failed else Cancelled(number), tokens)
        assert ended is not None
        assert ended.judged is None
    assert Graded not in kinds(bench)


def test_a_reply_to_a_replaced_run_ends_nothing(bench: Bench, tokens: Lesson) -> None:
    bench.runs.decide(tokens, None, 50)
    bench.runs.request(tokens)
    bench.runs.request(tokens)
    assert bench.runs.received(Cancelled(bench.made[0].id), tokens) is None
    assert bench.session.run.active


def test_on_a_broken_model_nothing_is_asked_and_nothing_graded(bench: Bench, tokens: Lesson) -> None:
    bench.game.begin(Case(7, 1))
    assert bench.runs.request(tokens) is None
    assert bench.made[0].case == Case(7, 1)
    ended = bench.finish(tokens, FRAME)
    assert ended is not None
    assert ended.judged is None
    assert Ran not in kinds(bench)
    assert [event.saw for event in bench.learner.events if isinstance(event, Probed)] == ["11 tokens"]
    assert bench.game.open_case is not None
    assert bench.game.open_case.probes == (("tokens", "11 tokens"),)
    assert bench.runs.measured(tokens) is None


def test_runs_on_the_intact_model_are_no_probes(bench: Bench, tokens: Lesson) -> None:
    bench.game.begin(Case(7, 1))
    bench.game.intact = True
    assert bench.runs.request(tokens) is None
    assert bench.made[0].case is None
    bench.finish(tokens, FRAME)
    assert Probed not in kinds(bench)


def test_a_probe_that_dies_after_it_showed_something_counts(bench: Bench, tokens: Lesson) -> None:
    from llm_holes.engine.ipc.messages import Framed

    bench.game.begin(Case(7, 1))
    bench.runs.request(tokens)
    bench.runs.received(Framed(bench.made[0].id, FRAME), tokens)
    bench.runs.received(Died(-9, "", "gone"), tokens)
    assert kinds(bench).count(Probed) == 1


def test_the_end_of_a_case_is_recorded_with_its_score(bench: Bench, tokens: Lesson) -> None:
    bench.game.begin(Case(7, 1))
    bench.runs.play({"guess_kind": "ffn-off", "guess_layer": 3, "guess_head": -1})
    assert bench.made[0].lesson == FIND_THE_HOLE
    assert bench.made[0].settings["seed"] == 7
    truth = Frame("it was", (), {"truth_kind": "ffn-off", "score": 90, "probes": 0})
    ended = bench.finish(tokens, truth)
    assert ended is not None
    assert ended.revealed
    assert bench.game.open_case is None
    (named,) = [event for event in bench.learner.events if isinstance(event, Named)]
    assert (named.score, named.truth) == (90, "truth_kind ffn-off")


def test_settings_changed_while_a_run_waits_go_with_it(bench: Bench, tokens: Lesson) -> None:
    bench.session.reply(Died(-9, "", "gone"))
    bench.runs.decide(tokens, None, 50)
    bench.runs.request(tokens)
    bench.settings.change(tokens, {"text": "cat"})
    bench.runs.amend(tokens)
    assert bench.session.run.settings is not None
    assert bench.session.run.settings["text"] == "cat"
