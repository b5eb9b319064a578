"""The proof of exact undo notices one weight written in place, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from llm_holes.engine.engine import Engine
from llm_holes.engine.surgery.weights import WeightScaled
from llm_holes.lessons.shared.untouched import Untouched

IDS = (65, 66, 67)
NAME = "model.layers.0.mlp.down_proj.weight"


def writable(engine: Engine) -> Engine:
    weights = {name: w.clone() for name, w in engine.model.weights.items()}
    return replace(engine, model=replace(engine.model, weights=weights))


def test_surgery_on_copies_leaves_the_model_untouched(small: Engine) -> None:
    untouched = Untouched.of(small, IDS)
    changed = small.operated([WeightScaled(NAME, 0, 0, 2.0)])
    assert changed.model.weights[NAME][0, 0] == 2 * small.model.weights[NAME][0, 0] != 0
    assert untouched.holds()


def test_one_weight_written_in_place_is_noticed_until_it_is_written_back(small: Engine) -> None:
    engine = writable(small)
    untouched, before = Untouched.of(engine, IDS), engine.model.weights[NAME][0, 0].clone()
    engine.model.weights[NAME][0, 0] = before + 1
    assert not untouched.holds()
    engine.model.weights[NAME][0, 0] = before
    assert untouched.holds()


def test_the_logits_are_those_after_the_text(small: Engine) -> None:
    assert (Untouched.of(small, IDS).logits == small.logits(IDS, 1)).all()
