"""What a long text is refused by is how often a lesson reads it: counted here, on a tiny model."""

from __future__ import annotations

import contextlib
from itertools import islice

import pytest

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.model.decoder import Decoder
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.shared.passes import PASSES
from tests.support import lessons
from tests.support.extremes import MOST_SECONDS, cases
from tests.support.soak import examples
from tests.support.tiny_families import write_family

QUICK = ("attention", "ffn", "hidden-states", "final-vector-to-token", "model-layers")
HEAVY = ("weights", "planning")
POSITION, STEP = 3.6e-3, 0.03
"""Seconds that the default model takes on one busy core, for a position read with many others and for one alone."""
LETTERS = 250
PLAN = "go,do,is,at,in,up"
REFUSED = {"planning"}
"""Random weights write no plan."""
OTHERS = {"memory": "text_b"}
"""The text that may be long, where that is another."""
TEXT = "The captain of the ship was Zorbulon Quist. " * 24
"""As many tokens as letters, in a vocabulary of bytes."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = write_family(tmp_path_factory.mktemp("model") / "m", "llama-rope3", 4096)
    return Engine.load(store.locate(str(folder), lambda status: None), threads=1)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions each layer was computed for."""
    counted: list[int] = []
    block = Decoder.block

    def count(self, layer, x, *rest):  # type: ignore[no-untyped-def]
        counted.append(x.shape[0] * x.shape[1])
        return block(self, layer, x, *rest)

    monkeypatch.setattr(Decoder, "block", count)
    return counted


@pytest.mark.parametrize("lesson", [*QUICK, *sorted({*PASSES} - {*QUICK, *REFUSED})][: max(examples(0), len(QUICK))])
def test_a_lesson_reads_its_text_about_as_often_as_is_said(lesson: str, small: Engine, rows: list[int]) -> None:
    """No more often, and not much less: one that reads a part of it must not be refused for the whole."""
    lessons.run(small, lesson, **{OTHERS.get(lesson, "text"): TEXT})
    passes = sum(rows) / small.model.config.n_layers / len(small.encode(TEXT))
    said = PASSES[lesson].times(catalog.load()[lesson].defaults())
    assert said / 4 < passes <= said + 0.5


def test_what_other_settings_read_besides_the_text_is_counted_too(small: Engine, rows: list[int]) -> None:
    settings = {"compare": 16, "kl_tokens": 128, "max_new_tokens": 1}
    lessons.run(small, "weights", text=TEXT, **settings)
    reading, all_settings = PASSES["weights"], catalog.load()["weights"].defaults() | settings
    said = reading.times(all_settings) * len(small.encode(TEXT)) + reading.beside(all_settings)
    assert 0.7 * said < sum(rows) / small.model.config.n_layers < 1.2 * said


@pytest.mark.parametrize(
    "name", [*HEAVY, *sorted({*catalog.load().lessons} - {*HEAVY})][: max(examples(0), len(HEAVY))]
)
def test_what_a_lesson_reads_with_its_controls_at_their_ends_takes_no_minutes(
    name: str, small: Engine, rows: list[int]
) -> None:
    """How many positions that is a tiny model says as well; long texts are refused by their length."""
    layers = small.model.config.n_layers
    for case in islice(cases(catalog.load()[name], small.info), examples(2)):
        settings = {name: value[:LETTERS] if isinstance(value, str) else value for name, value in case.settings.items()}
        rows.clear()
        with contextlib.suppress(InputError):
            lessons.run(small, name, **settings | ({"plan": PLAN} if name == "planning" else {}))
        together = sum(count for count in rows if count > 1) / layers
        alone = sum(count == 1 for count in rows) / layers
        refused = name in PASSES and PASSES[name].more and "all" in case.name  # by what they add to the text
        assert refused or together * POSITION + alone * STEP < MOST_SECONDS, case
