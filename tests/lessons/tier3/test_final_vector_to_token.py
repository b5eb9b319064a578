"""From the final vector to a token: logits, stages and draws, each against an independent computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, RankedList, Table
from llm_holes.engine.generation.sampling import SamplingParams, generator, stages
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import measurement
from llm_holes.lessons.tier3.final_vector_to_token.by_hand import recomputed
from llm_holes.lessons.tier3.final_vector_to_token.draws import chance_tv_distance, draws, tv_distance
from llm_holes.lessons.tier3.final_vector_to_token.filters import filters_first, heat_first
from llm_holes.lessons.tier3.final_vector_to_token.loop import frequency, repetition
from llm_holes.lessons.tier3.final_vector_to_token.pictures import sorted_list, sure_and_open, with_heat
from llm_holes.lessons.tier3.final_vector_to_token.table_cost import read_for_a_token
from tests.support.lessons import frames, measured

ID = "final-vector-to-token"


@pytest.mark.parametrize("text", ["The capital of France is", "a", "今天天气很好 🙂", "[b]<|im_end|>\x1b[31m"])
def test_logits_are_recomputed_from_the_hidden_state(engine: Engine, text: str) -> None:
    m = measured(engine, ID, text=text)
    assert m["logits_recomputed_max_abs_diff"] <= 1e-4
    assert 1 <= m["kept_tokens"] <= engine.info.d_vocab


def test_logits_of_an_untied_head_are_recomputed_too(tiny: Decoder) -> None:
    assert not tiny.config.tied_embeddings
    point = tap(tiny.config.n_layers - 1, "hook_resid_post")
    out = tiny.forward(torch.tensor([[1, 5, 2]]), taps=[point])
    by_hand = recomputed(tiny, torch.from_numpy(out.acts[point][0, -1]))
    assert (by_hand - out.logits[0, -1]).abs().max() <= 1e-4


def test_the_measurements_are_those_of_the_filtered_distribution(engine: Engine) -> None:
    logits = engine.logits(engine.encode("The capital of France is"), 1)[-1].double().numpy()
    m = measured(engine, ID, temperature=1.3, top_p=0.8, top_k=50, min_p=0.0)
    p = np.exp(logits / 1.3 - (logits / 1.3).max())
    p /= p.sum()
    order = np.sort(p)[::-1][:50] / np.sort(p)[::-1][:50].sum()
    kept = int(np.searchsorted(np.cumsum(order), 0.8)) + 1
    left = order[:kept] / order[:kept].sum()
    assert m["kept_tokens"] == kept
    assert m["p_top1"] == pytest.approx(left[0], abs=1e-4)
    assert m["entropy_nats"] == pytest.approx(-(left * np.log(left)).sum(), abs=1e-3)


@pytest.mark.parametrize(
    "params", [SamplingParams(1.0, top_p=0.9), SamplingParams(2.0, min_p=0.05), SamplingParams(5.0)]
)
def test_sampled_frequencies_fit_the_probabilities_by_chi_square(engine: Engine, params: SamplingParams) -> None:
    p = stages(engine.logits(engine.encode("My favourite food is"), 1)[-1], params)[-1].probabilities
    count = 2000
    drawn = draws(p, count, generator(0))
    assert drawn.sum() == count
    assert drawn[p == 0].sum() == 0
    expected = (p * count).double().numpy()
    large = expected >= 5
    observed = np.append(drawn.numpy()[large], drawn.numpy()[~large].sum())
    wanted = np.append(expected[large], expected[~large].sum())
    observed, wanted = observed[wanted >= 5], wanted[wanted >= 5]
    chi_square = float(((observed - wanted) ** 2 / wanted).sum())
    freedom = max(len(wanted) - 1, 1)
    bound = freedom * (1 - 2 / (9 * freedom) + 3.72 * math.sqrt(2 / (9 * freedom))) ** 3  # Wilson-Hilferty, 1 in 10,000
    assert chi_square < bound


def test_the_distance_is_what_chance_gives(engine: Engine) -> None:
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    rng = generator(1)
    mean = np.mean([tv_distance(draws(p, 40, rng), p) for _ in range(3000)])
    assert chance_tv_distance(p, 40) == pytest.approx(mean, rel=0.03)
    assert chance_tv_distance(torch.tensor([1.0, 0.0]), 40) == pytest.approx(0, abs=1e-9)
    for preset in ("a fact, cool", "a matter of taste", ""):
        m = measured(engine, ID, preset)
        assert m["sampled_vs_expected_tv_distance"] == pytest.approx(m["chance_tv_distance"], abs=0.06)


def test_zero_is_argmax(engine: Engine) -> None:
    m = measured(engine, ID, "zero")
    assert (m["kept_tokens"], m["different_tokens_drawn"], m["p_top1"]) == (1, 1, 1)
    assert m["entropy_nats"] == m["sampled_vs_expected_tv_distance"] == 0
    assert m["top_token"] == " Paris"


def test_the_same_top_p_keeps_few_or_thousands_and_min_p_a_handful(engine: Engine) -> None:
    cool, hot = measured(engine, ID, "a fact, cool"), measured(engine, ID, temperature=2.0)
    assert cool["kept_by_topp"] < 10 < 1000 < hot["kept_by_topp"]
    assert hot["kept_by_minp"] < 100
    assert cool["kept_by_topk"] == hot["kept_by_topk"] == 5
    assert measurement("kept_by_topp", 13307) == "13,307", "its name does not make it a share"


def test_top_p_notices_an_open_text_and_top_k_does_not(engine: Engine) -> None:
    m = measured(engine, ID)
    assert m["p_top1_unfiltered"] > 0.5 > m["p_top1_b"]
    assert m["kept_by_topp"] * 10 < m["kept_by_topp_b"]
    assert m["kept_by_topk"] == m["kept_by_topk_b"]
    curve = next(v for v in frames(engine, ID)[-1].views if isinstance(v, Curve) and v.key == "with heat")
    assert [line.name for line in curve.series] == [
        f"{text}: {name}" for name in ("top-p 90 %", "min-p 5 %") for text in ("first", "second")
    ]
    assert all(list(line.y) == sorted(line.y) for line in curve.series)


def test_the_list_is_cut_where_each_filter_alone_cuts_it(engine: Engine) -> None:
    view = frames(engine, ID)[-1].views[0]
    assert isinstance(view, RankedList)
    assert list(view.values) == sorted(view.values, reverse=True)
    assert sum(view.values) + view.rest == pytest.approx(1, abs=1e-5)
    top_k, top_p, min_p = (cut.kept for cut in view.cuts)
    assert top_k == 5
    assert sum(view.values[:top_p]) >= 0.9 > sum(view.values[: top_p - 1])
    assert view.values[min_p - 1] >= 0.05 * view.values[0] > view.values[min_p]
    zero = frames(engine, ID, "zero")[-1].views[0]
    assert isinstance(zero, RankedList)
    assert [(cut.name, cut.kept) for cut in zero.cuts] == [("temperature 0", 1)]


def test_a_filter_that_is_off_is_drawn_nowhere(engine: Engine) -> None:
    logits = engine.logits(engine.encode("The capital of France is"), 1)[-1]
    for params, on in ((SamplingParams(1.0), 0), (SamplingParams(1.0, top_p=0.9), 1), (SamplingParams(2.0, 5, 0.9), 2)):
        assert len(sorted_list(engine, logits, params).cuts) == on
        assert len(sure_and_open({"one": logits}, params).labels) == max(on, 1)
        assert len(with_heat({"one": logits}, params).series) == 1


def test_what_heat_lets_in_depends_on_the_order(engine: Engine) -> None:
    logits = engine.logits(engine.encode("The capital of France is"), 1)[-1]
    params = SamplingParams(1.5, top_p=0.9)
    first, late = filters_first(logits, params), heat_first(logits, params)
    assert first.sum() == pytest.approx(1, abs=1e-5)
    kept = first > 0
    warm = (logits / 1.5).softmax(-1)
    assert torch.allclose(first[kept], warm[kept] / warm[kept].sum(), atol=1e-6)
    assert int(kept.sum()) * 100 < int((late > 0).sum())
    m = measured(engine, ID, temperature=1.5, top_k=0, min_p=0.0)
    assert m["written_filters_first"].startswith(" Paris")
    assert m["same_text_in_both_orders"] is False


def test_a_loop_outgrows_a_penalty_that_does_not_count(engine: Engine) -> None:
    m = measured(engine, ID)
    free, once, each = (m[f"p_next_copy{name}_by_repeats"] for name in ("", "_penalised", "_counted"))
    assert len(free) == len(once) == len(each) == m["repeats"] == 8
    assert free == sorted(free)
    assert once == sorted(once)
    assert free[-1] > 0.85 > 0.5 < once[-1]
    assert each[-1] < max(each) < free[-1]
    assert measured(engine, ID, "a strong penalty")["p_copy_last_penalised"] < 0.2


def test_penalties_touch_only_what_was_seen() -> None:
    logits = torch.tensor([2.0, -2.0, 1.0, 0.5])
    assert repetition(2.0)(logits, [0, 1, 1]).tolist() == [1.0, -4.0, 1.0, 0.5]
    assert frequency(0.5)(logits, [0, 1, 1]).tolist() == [1.5, -3.0, 1.0, 0.5]
    assert repetition(1.0)(logits, [0, 1]).equal(logits)


def test_a_penalty_of_nothing_changes_no_loop(engine: Engine) -> None:
    m = measured(engine, ID, repetition=1.0, frequency=0.0, draws=1)
    assert m["p_next_copy_by_repeats"] == m["p_next_copy_penalised_by_repeats"] == m["p_next_copy_counted_by_repeats"]


def test_all_that_is_read_for_a_token_is_counted_once(engine: Engine) -> None:
    m, model = measured(engine, ID), engine.model
    parts = read_for_a_token(model.weights, model.config.tied_embeddings)
    looked_up = parts.pop("a row looked up")
    assert sum(parts.values()) == sum(weight.nbytes for weight in model.weights.values())
    assert looked_up == 4 * engine.info.d_model
    assert m["table_bytes"] == 4 * engine.info.d_model * engine.info.d_vocab
    assert 0.02 < m["table_share_of_step"] < 0.6
    assert 0.15 < m["table_share_of_bytes"] < 0.25
    line = frames(engine, ID)[-1].cost
    assert line is not None
    assert line.steps == m["table_share_of_step"]


def test_every_stage_leaves_less_undecided(engine: Engine) -> None:
    table = next(v for v in frames(engine, ID)[-1].views if isinstance(v, Table) and v.title == "stage by stage")
    assert [row[0] for row in table.rows] == ["temperature", "top-k", "top-p", "min-p"]
    entropies = [float(row[2]) for row in table.rows]
    assert entropies == sorted(entropies, reverse=True)


def test_the_same_seed_draws_the_same(engine: Engine) -> None:
    first, again, other = (
        next(v for v in frames(engine, ID, draws=300, seed=seed)[-1].views if v.key == "draws") for seed in (3, 3, 4)
    )
    assert first == again != other


def test_a_single_draw_has_a_result(engine: Engine) -> None:
    m = measured(engine, ID, draws=1)
    assert (m["samples"], m["different_tokens_drawn"]) == (1, 1)
