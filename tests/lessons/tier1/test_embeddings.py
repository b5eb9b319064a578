"""Embeddings: the lookup, the way from row to row, rows that change places, neighbours, arrows of whole sentences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Curve, Frame, Scatter, Table, View
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import operated
from llm_holes.engine.surgery.vectors import TABLE, RowMixed, RowsSwapped, Steer
from llm_holes.lessons.shared.words import word
from llm_holes.lessons.tier1.embeddings.lookup import one_hot_product, table_picture
from llm_holes.lessons.tier1.embeddings.moved_rows import SHARES, Way
from llm_holes.lessons.tier1.embeddings.sentences import nearness
from llm_holes.lessons.tier1.embeddings.word_map import principal_plane, word_map
from tests.support.lessons import frames, measured


def view(frame: Frame, key: str) -> View:
    return next(view for view in frame.views if view.key == key)


def test_the_lookup_is_a_one_hot_product_and_what_the_model_starts_from(engine: Engine) -> None:
    m = measured(engine, "embeddings")
    assert m["lookup_equals_onehot_max_abs_diff"] == 0
    assert m["lookup_equals_model_max_abs_diff"] == 0
    assert m["table_rows"] * m["table_columns"] / engine.info.parameters == m["table_share_of_parameters"]
    table = engine.model.weights[TABLE]
    ids = torch.tensor([0, 2, 4649, len(table) - 1])
    by_hand = np.zeros((4, len(table)), np.float32)
    by_hand[np.arange(4), ids.numpy()] = 1
    assert (by_hand @ table.numpy() == one_hot_product(ids, table).numpy()).all()


def test_the_picture_of_the_table_has_every_row_once(engine: Engine) -> None:
    last = frames(engine, "embeddings")[-1]
    table, rows = view(last, "the lookup"), engine.model.weights[TABLE]
    assert isinstance(table, Table)
    at = 0
    for row in table.rows:
        if row[0] == "⋮":
            at += int(str(row[-1]).split()[1].replace(",", ""))
        else:
            assert int(str(row[0])) == at
            assert [float(str(number)) for number in row[1:5]] == pytest.approx(rows[at, :4].tolist(), abs=6e-4)
            at += 1
    assert at == last.measured["table_rows"]
    assert last.cost is not None
    assert (last.cost.nbytes, last.cost.flops) == (5 * 576 * 4, 0)


def test_a_repeated_token_takes_the_same_row(engine: Engine) -> None:
    table = table_picture(engine, engine.encode("a a a a"))
    assert [row[0] for row in table.rows if row[0] != "⋮"] == ["81", "253"]


def test_neighbours_are_those_with_the_largest_cosine(engine: Engine) -> None:
    table = engine.model.weights[TABLE].numpy()
    (token,) = engine.tokenizer.encode(" France")
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    order = np.argsort(-(unit @ unit[token]))[1:11]
    assert measured(engine, "embeddings")["neighbours"] == [engine.token_text(int(i)) for i in order]


def test_the_answer_tips_like_a_switch_on_the_way_from_france_to_japan(engine: Engine) -> None:
    m = measured(engine, "embeddings")
    assert (m["next_token"], m["answer_all_the_way"], m["way_shape"]) == (" Paris", " Tokyo", "switch")
    assert 0.1 < m["tipping_share"] < 0.25
    p = dict(zip(SHARES, m["p_along_the_way"], strict=True))
    assert p[0.4] > 0.9 * p[0]
    assert p[0.6] < 0.1 * p[0]
    ids, (a,), (b,) = (engine.tokenizer.encode(text) for text in ("The capital of France is", " France", " Japan"))
    (paris,) = engine.tokenizer.encode(" Paris")
    for share in (0.0, 0.5, 1.0):
        chances = engine.operated([RowMixed(a, b, share)]).logits(ids, 1)[-1].softmax(-1)
        assert p[share] == pytest.approx(float(chances[paris]), abs=1e-6)
    picture = view(frames(engine, "embeddings")[-1], "the whole way")
    assert isinstance(picture, Curve)
    assert [line.name for line in picture.series] == ["·Paris", "·Tokyo"]


def test_where_the_model_was_never_sure_nothing_tips(engine: Engine) -> None:
    m = measured(engine, "embeddings", "no switch")
    assert m["way_shape"] == "line"
    assert m["tipping_share"] >= 0.6


@pytest.mark.parametrize(
    ("p", "share", "shape"),
    [
        (tuple(1 - share for share in SHARES), 0.8, "line"),
        (tuple(float(share < 0.5) for share in SHARES), 0.04, "switch"),
        (tuple(share for share in SHARES), 1.0, "none"),
        ((0.5,) * len(SHARES), 1.0, "none"),
        ((0.5, *(0.4,) * (len(SHARES) - 2), 0.46), 1.0, "none"),
        ((0.5, *(0.9,) * (len(SHARES) - 2), 0.4), 1.0, "uneven"),
        ((0.5, *(0.1,) * (len(SHARES) - 2), 0.4), 1.0, "uneven"),
        (tuple(max(0.0, 1 - 2 * share) for share in SHARES), 0.4, "curve"),
    ],
)
def test_the_shape_of_a_way(p: tuple[float, ...], share: float, shape: str) -> None:
    way = Way(1, 2, p, p)
    assert way.tipping_share == pytest.approx(share)
    assert way.shape == shape


def test_a_bank_loses_its_river_on_the_way_to_money(engine: Engine) -> None:
    half = measured(engine, "embeddings", "one row for two banks")
    assert half["next_token"] == " river" != half["next_token_changed"]
    quarter = half["p_along_the_way"][SHARES.index(0.2)]
    assert quarter > 0.9 * half["p_next"] > half["p_next"] / 10 > half["p_next_after_change"]


def test_swapped_rows_swap_what_is_said(engine: Engine) -> None:
    m = measured(engine, "embeddings", "swapped names")
    assert m["next_token_changed"] == " London"
    assert m["p_next_changed"] == pytest.approx(m["p_next"], abs=1e-5)
    assert m["undo_bit_identical"] is True
    bars = view(frames(engine, "embeddings", "swapped names")[-1], "next token")
    assert isinstance(bars, Bars)
    at = bars.labels.index("·London before")
    assert bars.values[at + 1] == pytest.approx(m["p_next"], abs=1e-5)


def test_only_states_find_the_sentence_that_means_the_same(engine: Engine) -> None:
    m = measured(engine, "embeddings")
    assert m["found_by"] == "states only"
    assert m["rows_cosine_alike"] - m["rows_cosine_same"] > 0.05
    assert m["states_cosine_same"] - m["states_cosine_alike"] > 0.05


def test_the_mean_of_rows_does_not_know_who_bit_whom(engine: Engine) -> None:
    m = measured(engine, "embeddings", "dog bites man")
    assert m["rows_cosine_alike"] == pytest.approx(1, abs=1e-5)
    assert m["states_cosine_alike"] < 0.99
    assert m["found_by"] == "neither"


def test_the_nearness_of_a_text_to_itself_is_one(engine: Engine) -> None:
    found = nearness(engine, "a", "a", "今天")
    assert found.same == pytest.approx((1,) * (engine.model.config.n_layers + 1), abs=1e-4)
    with pytest.raises(InputError, match="sentences is empty"):
        nearness(engine, "a", " ", "b")


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
    drawn = view(frames(engine, "embeddings")[-1], "map of words")
    assert isinstance(drawn, Scatter)
    assert drawn.control == "word"
    assert len(drawn.labels) == len(drawn.x) == len(drawn.y)
    points = torch.randn(30, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([9.0, 5, 1, 1, 1, 1, 1, 1])
    plane, share = principal_plane(points)
    values = torch.linalg.eigvalsh(torch.cov(points.T)).flip(0)
    assert torch.allclose(plane.var(0), values[:2], rtol=1e-4)
    assert share == pytest.approx(float(values[:2].sum() / values.sum()), abs=1e-5)


@pytest.mark.parametrize("words", ["", "one", "🙂 今天", "same same"])
def test_any_list_has_a_map(engine: Engine, words: str) -> None:
    share, drawn = word_map(engine, words.split(), word(engine, "🙂", "word"))
    assert 0 <= share <= 1.001
    assert len(drawn.labels) == len(words.split())


def test_any_text_and_any_words(engine: Engine) -> None:
    m = measured(engine, "embeddings", words="", word="今天", word_b="a, b", text="x", sentence="x", same="今")
    assert m["pieces"] > 1
    assert m["word_in_text"] is False
    assert 0 <= m["tipping_share"] <= 1


def test_too_many_words_are_refused(engine: Engine) -> None:
    with pytest.raises(InputError, match="201 words"):
        measured(engine, "embeddings", words="a " * 201)
