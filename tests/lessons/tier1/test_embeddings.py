"""Embeddings: the lookup, the neighbours, the map, and rows exchanged as operations that leave the model alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Scatter
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import operated
from llm_holes.engine.surgery.vectors import TABLE, RowMixed, RowsSwapped, Steer
from llm_holes.lessons.tier1.embeddings.experiment import one_hot_product, principal_plane
from tests.support.lessons import frames, measured


def test_the_lookup_is_a_one_hot_product_and_what_the_model_starts_from(engine: Engine) -> None:
    m = measured(engine, "embeddings", "all the way")
    assert m["lookup_equals_onehot_max_abs_diff"] == 0
    assert m["lookup_equals_model_max_abs_diff"] == 0
    assert m["table_rows"] * m["table_columns"] / engine.info.parameters == m["table_share_of_parameters"]
    table = engine.model.weights[TABLE]
    ids = torch.tensor([0, 2, 4649, len(table) - 1])
    by_hand = np.zeros((4, len(table)), np.float32)
    by_hand[np.arange(4), ids.numpy()] = 1
    assert (by_hand @ table.numpy() == one_hot_product(ids, table).numpy()).all()


def test_neighbours_are_those_with_the_largest_cosine(engine: Engine) -> None:
    table = engine.model.weights[TABLE].numpy()
    (token,) = engine.tokenizer.encode(" France")
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit[token]))[1:11]
    assert measured(engine, "embeddings", "all the way")["neighbours"] == [engine.token_text(int(i)) for i in order]


def test_half_way_between_two_countries_is_both(engine: Engine) -> None:
    half, whole = measured(engine, "embeddings"), measured(engine, "embeddings", "all the way")
    assert (half["next_token"], half["next_token_changed"]) == (" Paris", " Paris")
    assert 0.2 < half["p_next_after_change"] < 0.6
    assert whole["next_token_changed"] == " Tokyo"
    assert half["undo_bit_identical"] is whole["undo_bit_identical"] is True


def test_swapped_rows_swap_what_is_said(engine: Engine) -> None:
    m = measured(engine, "embeddings", "swapped names")
    assert m["next_token_changed"] == " London"
    assert m["p_next_changed"] == pytest.approx(m["p_next"], abs=1e-5)


def test_operations_write_nothing_and_change_only_their_rows(engine: Engine) -> None:
    before = fingerprint({TABLE: engine.model.weights[TABLE]})
    swapped = operated(engine.model, [RowsSwapped(500, 900)])
    mixed = operated(swapped, [RowMixed(500, 900, 0.25)])
    table, changed = engine.model.weights[TABLE], mixed.weights[TABLE]
    assert (changed[900] == table[500]).all()
    assert torch.allclose(changed[500], 0.75 * table[900] + 0.25 * table[500])
    assert (changed != table).any(1).nonzero().flatten().tolist() == [500, 900]
    assert fingerprint({TABLE: engine.model.weights[TABLE]}) == before


def test_an_untied_head_keeps_its_rows(tiny: Decoder) -> None:
    swapped = operated(tiny, [RowsSwapped(1, 2)])
    ids, other = torch.tensor([[1, 5, 2]]), torch.tensor([[2, 5, 1]])
    assert (swapped.forward(ids).logits == tiny.forward(other).logits).all()


def test_steering_adds_its_direction_to_every_position(tiny: Decoder) -> None:
    direction = tuple(float(i % 3) for i in range(tiny.config.d_model))
    name, ids = "blocks.1.hook_resid_post", torch.tensor([[1, 5, 2]])
    plain = tiny.forward(ids, taps=[name]).acts[name]
    steered = operated(tiny, [Steer(1, direction, -2.0)]).forward(ids, taps=[name]).acts[name]
    assert np.allclose(steered - plain, -2 * np.array(direction), atol=1e-5)
    assert (operated(tiny, [Steer(1, direction, 0.0)]).forward(ids).logits == tiny.forward(ids).logits).all()


def test_the_map_is_the_widest_plane(engine: Engine) -> None:
    view = next(v for v in frames(engine, "embeddings", "all the way")[-1].views if isinstance(v, Scatter))
    assert view.control == "word"
    assert len(view.labels) == len(view.x) == len(view.y)
    points = torch.randn(30, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([9.0, 5, 1, 1, 1, 1, 1, 1])
    plane, share = principal_plane(points)
    values = torch.linalg.eigvalsh(torch.cov(points.T)).flip(0)
    assert torch.allclose(plane.var(0), values[:2], rtol=1e-4)
    assert share == pytest.approx(float(values[:2].sum() / values.sum()), abs=1e-5)


@pytest.mark.parametrize("words", ["", "one", "🙂 今天", "same same"])
def test_any_list_has_a_map(engine: Engine, words: str) -> None:
    m = measured(engine, "embeddings", words=words, word="🙂", text="今")
    assert 0 <= m["map_share_of_variance"] <= 1.001
    assert m["pieces"] >= 1


def test_too_many_words_are_refused(engine: Engine) -> None:
    with pytest.raises(InputError, match="201 words"):
        measured(engine, "embeddings", words="a " * 201)
