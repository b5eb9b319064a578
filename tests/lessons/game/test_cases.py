"""Which case of the game is open, and how well the ended ones went, from the events alone."""

from __future__ import annotations

from llm_holes.engine.ipc.messages import Case
from llm_holes.lessons.game.cases import OpenCase, best_scores, open_case
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from llm_holes.lessons.learner.events import Began, Event, Named, Probed, Record, decode, encode


def began(seed: int, difficulty: int) -> Event:
    return Began(lesson=FIND_THE_HOLE, seed=seed, difficulty=difficulty)


def probed(lesson: str) -> Event:
    return Probed(lesson=FIND_THE_HOLE, probe=lesson, saw=f"saw {lesson}")


def named(score: int) -> Event:
    return Named(lesson=FIND_THE_HOLE, said="a", truth="b", score=score, probes=1)


def test_no_case_is_open_before_one_began_and_after_it_was_named() -> None:
    assert open_case([]) is None
    assert open_case([began(1, 2), probed("tokens"), named(50)]) is None


def test_an_open_case_has_its_own_probes_only() -> None:
    events = [began(1, 1), probed("tokens"), named(5), probed("stray"), began(7, 3), probed("attention"), probed("ffn")]
    assert open_case(events) == OpenCase(Case(7, 3), (("attention", "saw attention"), ("ffn", "saw ffn")))


def test_the_best_score_is_kept_by_difficulty() -> None:
    events = [began(1, 1), named(40), began(2, 1), named(90), began(3, 1), named(70), began(4, 3), named(0)]
    assert best_scores(events) == {1: 90, 3: 0}


def test_a_case_named_again_does_not_count() -> None:
    assert best_scores([began(1, 1), named(40), began(1, 1), named(100)]) == {1: 40}


def test_a_record_with_the_game_comes_back_and_one_without_it_is_still_read() -> None:
    record = Record(events=(began(1, 1), probed("tokens"), named(40)))
    assert decode(encode(record)).events == tuple(sorted(record.events, key=lambda e: (e.at, e.id)))
    old = b'{"format":"llm-holes progress","version":1,"events":[{"type":"read","lesson":"tokens","id":"a","at":1.0}]}'
    assert len(decode(old).events) == 1
