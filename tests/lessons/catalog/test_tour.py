"""The tour leads through steps there are, and `llm-holes check` says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_holes.lessons.catalog import catalog, tour
from llm_holes.lessons.catalog.catalog import CatalogError
from llm_holes.lessons.catalog.tour import FILE, Stop, check_tour, step_of
from llm_holes.lessons.lint import inspect
from tests.support import gallery

LESSONS = catalog.load().lessons


def test_the_tour_that_ships_stops_about_twelve_times_in_eight_lessons() -> None:
    stops = tour.load()
    assert list(check_tour(stops, LESSONS)) == []
    assert len({stop.lesson for stop in stops}) == 8
    assert 10 <= len(stops) <= 14
    asked = [stop for stop in stops if LESSONS[stop.lesson].steps[step_of(stop, LESSONS[stop.lesson]) or 0].bet]
    assert len(asked) >= 3, "who only looks does not find out what they believed"


def problems(tmp_path: Path, text: str) -> list[str]:
    """What check says of a tour through the gallery's lessons."""
    gallery.catalog(tmp_path)
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    return [str(fault) for fault in inspect(tmp_path)[1] if fault.file == FILE]


def test_a_stop_is_the_first_step_with_its_view(tmp_path: Path) -> None:
    lesson = gallery.catalog(tmp_path)["tokens"]
    assert step_of(Stop("tokens"), lesson) == 0
    assert step_of(Stop("tokens", "third"), lesson) == 2
    assert step_of(Stop("tokens", "tenth"), lesson) is None


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ('lesson = "tokenz"', "the tour stops at 'tokenz', which is not a lesson"),
        ('lesson = "tokens"\nview = "tenth"', "no step of 'tokens' has the view 'tenth'"),
        ('lesson = "tokens"\nsettings = { txt = "a" }', "the stop sets 'txt', which is not a control of 'tokens'"),
        ('lesson = "tokens"\nsettings = { text = 3 }', "in 'tokens', text must be of kind text, not 3"),
        ('lesson = "kv-cache"\nsettings = { temperature = 5.0 }', "temperature must be between 0 and 2, not 5.0"),
        ('lesson = "tokens"\nview = "third"', "the tour passes over the bet at step 2 of 'tokens'"),
        ('lesson = "tokens"\nview = "second"\nsettings = { text = "a" }', "asked over its own settings only"),
        ('lesson = "what-happens"', "the tour has been at step 1 of 'what-happens' before"),
        ('lesson = "tokens"\nvjew = "second"', "unknown field `vjew`"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, stop: str, said: str) -> None:
    (found,) = problems(tmp_path, f'[[stops]]\nlesson = "what-happens"\n\n[[stops]]\n{stop}\n')
    assert found.startswith((f"{FILE}:4: ", f"{FILE}:6: "))
    assert said in found


def test_a_tour_is_good_where_each_bet_on_its_way_is_asked(tmp_path: Path) -> None:
    walk = "".join(f'[[stops]]\nlesson = "tokens"\nview = "{view}"\n' for view in ("first", "second", "third"))
    assert problems(tmp_path, walk) == []


def test_a_tour_without_a_stop_or_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=FILE):
        tour.read(tmp_path)
    assert problems(tmp_path, "stops = []\n") != []
