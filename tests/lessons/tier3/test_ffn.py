"""What the lesson on the FFN claims: a token alone, few neurons for most of the work, and one that all depends on."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Table, Tokens
from llm_holes.engine.model.hook_names import tap
from tests.support.lessons import frames, measured


def test_the_ffn_is_reproduced_and_each_token_is_alone_in_it(engine: Engine) -> None:
    m = measured(engine, "ffn")
    assert m["ffn_reproduced_relative_diff"] < 1e-4
    assert m["token_isolation_max_abs_diff"] == 0
    assert m["ffn_share_of_parameters"] == pytest.approx(79_626_240 / 134_515_008)
    assert m["expansion"] == pytest.approx(1536 / 576)
    ids = engine.encode("The capital of France is")
    gate = engine.model.forward(torch.tensor([ids]), taps=[tap(22, "mlp.hook_pre")]).acts[tap(22, "mlp.hook_pre")]
    assert m["active_fraction"] == pytest.approx((gate[0, -1] > 0).mean())


def test_a_few_random_neurons_are_not_missed_and_two_thirds_can_be_spared_per_token(engine: Engine) -> None:
    assert measured(engine, "ffn", "8 at random")["kl_ablated"] < 0.01
    third, tenth = (
        measured(engine, "ffn", name)["kl_ablated"] for name in ("two thirds silent", "only the strongest tenth")
    )
    assert third < 0.3 < 1 < tenth


def test_one_neuron_of_the_first_token_matters_and_one_weight_of_it_even_more(engine: Engine) -> None:
    neuron, one_weight = (
        measured(engine, "ffn", name) for name in ("one neuron at the first token", "one weight of it")
    )
    assert neuron["neuron"] == one_weight["neuron"] == 1229
    assert neuron["neuron_share_of_added"] > 0.5
    assert one_weight["kl_ablated"] > 1 > neuron["kl_ablated"] > 0.1


def test_the_chosen_neuron_is_marked_followed_along_the_text_and_found_in_the_passage(engine: Engine) -> None:
    strip, firing, contexts, _ = frames(engine, "ffn", neuron=7, text="Die Katze 🙂 schläft", position=1)[-1].views
    assert isinstance(firing, Table)
    assert firing.marked is not None
    assert firing.rows[firing.marked][0] == "7"
    assert isinstance(strip, Tokens)
    assert strip.control == "position"
    assert max(strip.values) == 1
    assert isinstance(contexts, Table)
    values = [row[0] for row in contexts.rows]
    assert sorted(map(abs, values), reverse=True) == list(map(abs, values))  # type: ignore[arg-type]


def test_one_token_long_texts_and_wrong_neurons(engine: Engine) -> None:
    assert measured(engine, "ffn", text="a", layer=0)["token_isolation_max_abs_diff"] == 0
    long = frames(engine, "ffn", text="one two three " * 100, layer=0, position=3)[-1]
    strip = next(view for view in long.views if view.key == "along the text")
    assert isinstance(strip, Tokens)
    assert len(strip.tokens) == 256
    assert strip.control == ""
    with pytest.raises(InputError):
        frames(engine, "ffn", neuron=1536)
