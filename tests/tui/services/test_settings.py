"""One owner of every lesson's values, and one rule for what they may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.catalog.settings import checked, clamped
from llm_holes.tui.services.settings import Settings
from tests.support.fake_engine import MODEL

VALUES = st.one_of(st.text(max_size=5), st.booleans(), st.integers(-(10**6), 10**6), st.floats())


@pytest.fixture
def settings() -> Settings:
    return Settings()


def test_a_lesson_begins_with_its_defaults(settings: Settings, tokens: Lesson) -> None:
    assert settings.of(tokens) == tokens.defaults()


def test_what_is_given_out_cannot_change_what_is_held(settings: Settings, tokens: Lesson) -> None:
    settings.of(tokens)["text"] = "other"
    assert settings.of(tokens)["text"] == tokens.defaults()["text"]


def test_a_change_is_of_one_lesson_only(settings: Settings, small: Catalog) -> None:
    settings.change(small["tokens"], {"text": "cat"})
    assert settings.of(small["tokens"])["text"] == "cat"
    assert settings.of(small["quantization"])["text"] != "cat"


def test_names_without_a_control_are_passed_over(settings: Settings, tokens: Lesson) -> None:
    settings.change(tokens, {"layer": 3, "nonsense": True})
    assert settings.of(tokens) == tokens.defaults()


def test_layers_are_brought_inside_the_model_once_it_is_known(settings: Settings, small: Catalog) -> None:
    attention = small["attention"]
    settings.change(attention, {"layer": 300})
    assert settings.of(attention)["layer"] == 300
    settings.model = MODEL
    assert settings.of(attention)["layer"] == MODEL.n_layers - 1
    settings.change(attention, {"layer": -5})
    assert settings.of(attention)["layer"] == 0


@given(VALUES)
def test_whatever_is_set_a_control_holds_only_what_a_run_may_have(value: str | bool | int | float) -> None:
    from llm_holes.lessons.catalog import catalog

    for lesson in ("attention", "stopping", "kv-cache"):
        for control in catalog.load()[lesson].controls:
            inside = clamped(control, value, MODEL)
            assert checked(control, inside, MODEL) == inside
            assert clamped(control, inside, MODEL) == inside
