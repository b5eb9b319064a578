"""What the lesson says of windows, sinks, blocks and the hidden fact, against the model itself."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.measure import perplexity
from llm_holes.engine.surgery.ablations import WindowOnly
from llm_holes.engine.surgery.sparse_attention import SparseMask
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.tier3.sparse_attention.ladder import Way, looks_needed
from llm_holes.lessons.tier3.sparse_attention.needle import Found, Needle, guessable, hide, look, split
from tests.support.lessons import measured


def test_a_window_collapses_and_one_first_token_brings_it_back(engine: Engine) -> None:
    alone, rescued = (measured(engine, "sparse-attention", preset) for preset in ("", "one first token"))
    assert alone["perplexity_full"] == rescued["perplexity_full"]
    assert alone["perplexity_ratio"] > 4 > 2.5 > rescued["perplexity_ratio"]
    assert alone["kl_nats"] > 3 * rescued["kl_nats"]
    assert rescued["density"] - alone["density"] < 0.03


def test_the_perplexity_is_that_of_masked_scores(engine: Engine) -> None:
    ids = engine.tokenizer.encode(passage())[:128]
    logits = engine.operated([WindowOnly(16)]).logits(ids)
    m = measured(engine, "sparse-attention")
    assert m["perplexity_sparse"] == pytest.approx(perplexity(logits, torch.tensor(ids)), rel=1e-3)
    pairs = sum(min(position + 1, 16) for position in range(128))
    assert m["density"] == pytest.approx(pairs / (128 * 129 / 2))


def test_blocks_with_fewer_pairs_read_better_than_a_window(engine: Engine) -> None:
    window, blocks = (
        measured(engine, "sparse-attention", preset) for preset in ("", "blocks that know nothing of each other")
    )
    assert blocks["density"] < 0.6 * window["density"]
    assert blocks["perplexity_sparse"] < 0.7 * window["perplexity_sparse"]


def test_the_fact_is_known_only_where_it_can_be_seen_or_where_some_layers_see_all(engine: Engine) -> None:
    names = ("", "one first token", "every second layer sees all", "the fact among the first")
    window, first, mixed, at_start = (measured(engine, "sparse-attention", name) for name in names)
    assert window["needle_places_full"] == window["needle_places_tried"] == 5
    for m in (window, first):
        assert max(m["needle_p_by_depth"][:4]) < 1e-4 < 0.1 < m["needle_p_by_depth"][4]
        assert m["needle_places"] == 1
        assert m["looks_needed"] == 3
        assert "7319" not in m["written_sparse"]
    assert mixed["needle_places"] == 5
    assert mixed["perplexity_ratio"] < first["perplexity_ratio"]
    assert at_start["needle_found"] is True
    assert at_start["written_sparse"].startswith("7319")


def test_a_generous_window_leaves_a_third_of_the_pairs_and_costs_little(engine: Engine) -> None:
    m = measured(engine, "sparse-attention", "a generous window")
    assert m["density"] < 0.4
    assert m["perplexity_ratio"] < 1.3
    assert m["needle_found"] is True


def test_full_attention_does_not_miss_the_middle(engine: Engine) -> None:
    m = measured(engine, "sparse-attention", "a longer haystack")
    start, *_, end = m["needle_p_by_depth_full"]
    assert min(m["needle_p_by_depth_full"][1:4]) > 0.8 * min(start, end)


def test_what_is_read_once_for_all_places_says_the_same_as_each_text_read_alone(engine: Engine) -> None:
    needles = [hide(engine, "The secret code is 7319.", depth, 20) for depth in (0.0, 0.5, 0.5, 1.0)]
    for needle, found in zip(needles, look(engine, needles), strict=True):
        alone = _alone(engine, needle)
        assert found.p == pytest.approx(alone.p, rel=1e-3)
        assert found.found == alone.found


def _alone(engine: Engine, needle: Needle) -> Found:
    size = len(needle.answer)
    logits = engine.logits(needle.ids)[-size - 1 : -1]
    answer = torch.tensor(needle.answer)
    p = logits.softmax(-1).gather(1, answer[:, None]).prod()
    return Found(float(p), bool((logits.argmax(-1) == answer).all()))


def test_an_ending_that_can_be_guessed_is_told_from_one_that_was_found(engine: Engine) -> None:
    assert guessable(engine, "for (int i = 0; i < n; i++) { sum += a[i]; }") is True
    assert guessable(engine, "The secret code is 7319.") is False


def test_how_many_looks_lead_back_to_the_fact() -> None:
    needle = Needle(tuple(range(101)), at=0, length=11, answer=(100,))
    # a window of 10 leads 9 tokens back at each look: from token 99 to token 9 in ten of them
    assert looks_needed(needle, Way("", SparseMask("window", 10), tuple(range(30))), 30) == 10
    assert looks_needed(needle, Way("", SparseMask("window", 10), tuple(range(5))), 5) == 0
    assert looks_needed(needle, Way("", SparseMask("window", 10), (0,)), 30) == 1
    assert looks_needed(needle, Way("", SparseMask("window", 10, sinks=1), tuple(range(30))), 30) == 1


def test_only_skipped_blocks_save_work(engine: Engine) -> None:
    window, strided = (measured(engine, "sparse-attention", p) for p in ("", "sparse but not cheaper"))
    assert window["flops_ratio"] < 0.3
    assert strided["density_cost_tokens"] < 0.15
    assert strided["flops_ratio"] >= 1
    assert window["flops_ratio_masked"] == strided["flops_ratio_masked"] > 1.9


@pytest.mark.parametrize("fact", ["🙂", "a", "秘密の番号は七三一九です", "Der Code ist 42."])
def test_any_fact_can_be_hidden(engine: Engine, fact: str) -> None:
    needle = hide(engine, fact, 0.5, 10)
    assert 0 <= look(engine, [needle])[0].p <= 1
    assert "".join(split(fact)) == fact.rstrip(".")
    hidden = engine.tokenizer.decode(list(needle.ids[needle.at : needle.at + needle.length]))
    assert hidden.strip() == fact
    assert needle.ids[-len(needle.answer) :] == needle.answer


def test_the_shortest_and_too_long_a_text(engine: Engine) -> None:
    m = measured(engine, "sparse-attention", text="a", tokens=2, haystack=0, window=1, cost_tokens=32)
    assert m["needle_distance"] >= 0
    with pytest.raises(InputError):
        hide(engine, "a fact " * 3000, 0.5, 8000)
