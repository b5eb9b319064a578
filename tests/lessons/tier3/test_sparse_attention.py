"""What the lesson says of windows, sinks, blocks and the hidden fact, against the model itself."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.measure import perplexity
from llm_holes.engine.surgery.ablations import WindowOnly
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.tier3.sparse_attention.needle import hide, look, split
from tests.support.lessons import measured


def test_a_window_collapses_and_one_first_token_brings_it_back(engine: Engine) -> None:
    alone, rescued = (measured(engine, "sparse-attention", preset) for preset in ("", "one first token"))
    assert alone["perplexity_full"] == rescued["perplexity_full"]
    assert alone["perplexity_ratio"] > 4 > 2.5 > rescued["perplexity_ratio"]
    assert alone["kl_nats"] > 3 * rescued["kl_nats"]
    assert rescued["density"] - alone["density"] < 0.03


def test_the_perplexity_is_that_of_masked_scores(engine: Engine) -> None:
    ids = engine.tokenizer.encode(passage())[:72]
    logits = engine.operated([WindowOnly(16)]).logits(ids)
    m = measured(engine, "sparse-attention")
    assert m["perplexity_sparse"] == pytest.approx(perplexity(logits, torch.tensor(ids)), rel=1e-3)
    pairs = sum(min(position + 1, 16) for position in range(72))
    assert m["density"] == pytest.approx(pairs / (72 * 73 / 2))


def test_blocks_with_fewer_pairs_read_better_than_a_window(engine: Engine) -> None:
    window, blocks = (
        measured(engine, "sparse-attention", preset) for preset in ("", "blocks that know nothing of each other")
    )
    assert blocks["density"] < 0.6 * window["density"]
    assert blocks["perplexity_sparse"] < 0.7 * window["perplexity_sparse"]


def test_the_fact_is_known_only_where_it_can_be_seen(engine: Engine) -> None:
    m = {p: measured(engine, "sparse-attention", p) for p in ("one first token", "a generous window")}
    at_start = measured(engine, "sparse-attention", "the fact among the first")
    assert all(x["needle_found_full"] for x in (*m.values(), at_start))
    assert m["one first token"]["needle_found"] is False
    assert m["one first token"]["needle_p"] < 1e-4 < 0.3 < m["a generous window"]["needle_p"]
    assert m["a generous window"]["needle_found"] is True
    assert at_start["needle_found"] is True


def test_only_skipped_blocks_save_work(engine: Engine) -> None:
    window, strided = (measured(engine, "sparse-attention", p) for p in ("", "sparse but not cheaper"))
    assert window["flops_ratio"] < 0.3
    assert strided["density_cost_tokens"] < 0.15
    assert strided["flops_ratio"] >= 1
    assert window["flops_ratio_masked"] == strided["flops_ratio_masked"] > 1.9


@pytest.mark.parametrize("fact", ["🙂", "a", "秘密の番号は七三一九です", "Der Code ist 42."])
def test_any_fact_can_be_hidden(engine: Engine, fact: str) -> None:
    needle = hide(engine, fact, 0.5, 10)
    assert 0 <= look(engine, needle).p <= 1
    assert "".join(split(fact)) == fact.rstrip(".")
    hidden = engine.tokenizer.decode(list(needle.ids[needle.at : needle.at + needle.length]))
    assert hidden.strip() == fact
    assert needle.ids[-len(needle.answer) :] == needle.answer


def test_the_shortest_and_too_long_a_text(engine: Engine) -> None:
    m = measured(engine, "sparse-attention", text="a", tokens=2, haystack=0, window=1, cost_tokens=32)
    assert m["needle_distance"] >= 0
    with pytest.raises(InputError):
        hide(engine, "a fact " * 2000, 0.5, 8000)
