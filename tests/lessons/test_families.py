"""Lessons run on families that lack what they are about: no gate, no rotation, no shared keys, experts, soft caps."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from tests.support.tiny_families import loaded, write_family

LESSONS = ("ffn", "attention", "mqa-gqa", "final-vector-to-token", "dot-product", "layer-transforms")

COMPUTED_ANEW = (
    "attention_reproduced_max_abs_diff",
    "attention_score_reproduced_max_abs_diff",
    "ffn_reproduced_relative_diff",
    "logits_recomputed_max_abs_diff",
    "logits_max_abs_diff_expand",
)
"""What a lesson computes a second time, in its own words, and compares with the decoder's."""


@pytest.fixture(scope="module", params=["gpt2", "gemma2-window", "olmo2", "mixtral"])
def odd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    with pytest.MonkeyPatch.context() as patch:
        folder: Path = tmp_path_factory.mktemp("odd")
        patch.setenv("LLM_HOLES_CACHE", str(folder / "cache"))
        return loaded(write_family(folder / "m", request.param, 512))


@pytest.mark.parametrize("lesson_id", LESSONS)
def test_the_default_runs(odd: Engine, lesson_id: str) -> None:
    lesson = catalog.load()[lesson_id]
    *_, last = catalog.experiment(lesson).run(odd, validated(lesson, {}, odd.info))
    assert set(last.measured) == set(lesson.data.publishes)
    assert all(float(last.measured.get(name, 0.0)) < 1e-3 for name in COMPUTED_ANEW)


def test_a_weight_that_a_family_does_not_have_is_refused_in_a_sentence(odd: Engine) -> None:
    lesson = catalog.load()["weights"]
    missing = {"gpt2": "mlp.gate_proj", "olmo2": "input_layernorm"}.get(odd.model.config.family)
    if missing is None:
        return
    settings = validated(lesson, {"target": "row and column", "kind": missing}, odd.info)
    with pytest.raises(InputError, match=f"this model has no {missing}"):
        [*catalog.experiment(lesson).run(odd, settings)]
