"""Where the tour leads, where it goes on, and what a stop sets."""

from __future__ import annotations

from llm_holes.lessons.catalog.tour import Stop
from llm_holes.tui.services.tour import Tour
from tests.support.bench import Bench

STOPS = (Stop("tokens", settings={"text": "a word"}), Stop("tokens", "second"), Stop("attention", "first"))


def tour(bench: Bench) -> Tour:
    return Tour(bench.catalog, bench.settings, bench.steps, lambda: STOPS)


def test_it_walks_from_stop_to_stop_and_ends_after_the_last(bench: Bench) -> None:
    walk = tour(bench)
    assert (walk.on, walk.number) == (False, 0)
    been = [walk.begin(), walk.move(1), walk.move(1), walk.move(1)]
    assert [lesson.id if lesson else None for lesson in been] == ["tokens", "tokens", "attention", None]
    assert (walk.number, walk.count) == (3, 3)
    assert [lesson.id for lesson in walk.lessons()] == ["tokens", "attention"]


def test_a_stop_enters_its_step_with_its_settings_and_a_bet_with_its_own(bench: Bench) -> None:
    walk, lesson = tour(bench), bench.catalog["tokens"]
    walk.begin()
    walk.arrive()
    assert (bench.steps.index(lesson), bench.settings.of(lesson)["text"]) == (0, "a word")
    walk.move(1)
    walk.arrive()
    assert bench.steps.index(lesson) == 1
    assert bench.steps.bet(lesson) is not None
    assert bench.settings.of(lesson)["text"] == lesson.defaults()["text"]


def test_back_goes_as_far_as_there_are_stops(bench: Bench) -> None:
    walk = tour(bench)
    walk.begin()
    walk.move(1)
    walk.move(-1)
    walk.move(-1)
    assert walk.number == 1


def test_a_tour_that_was_left_goes_on_and_one_that_was_finished_begins_anew(bench: Bench) -> None:
    walk = tour(bench)
    walk.begin()
    walk.move(2)
    walk.leave()
    assert walk.number == 0
    assert walk.begin().id == "attention"
    walk.finish()
    assert walk.begin().id == "tokens"
