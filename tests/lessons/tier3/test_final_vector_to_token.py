"""From the final vector to a token: logits, stages and draws, each against an independent computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Curve, Table
from llm_holes.engine.generation.sampling import SamplingParams, generator, stages
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.lessons.tier3.final_vector_to_token.experiment import chance_tv_distance, draws, recomputed, tv_distance
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
    m = measured(engine, ID, temperature=1.3, top_p=0.8, top_k=50)
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
    for preset in ("a fact", "a matter of taste", ""):
        m = measured(engine, ID, preset)
        assert m["sampled_vs_expected_tv_distance"] == pytest.approx(m["chance_tv_distance"], abs=0.06)


def test_zero_is_argmax(engine: Engine) -> None:
    m = measured(engine, ID, "zero")
    assert (m["kept_tokens"], m["different_tokens_drawn"], m["p_top1"]) == (1, 1, 1)
    assert m["entropy_nats"] == m["sampled_vs_expected_tv_distance"] == 0
    assert m["top_token"] == " Paris"


def test_the_same_top_p_keeps_few_or_thousands(engine: Engine) -> None:
    cool, hot = measured(engine, ID, "a fact"), measured(engine, ID)
    assert cool["kept_tokens"] < 10 < 1000 < hot["kept_tokens"]
    assert hot["p_top1"] < 0.1 < 0.9 < cool["p_top1"]
    assert hot["kept_tokens_filters_first"] < hot["kept_tokens"] / 100
    assert measured(engine, ID, "hot, with min-p")["kept_tokens"] < 100
    curve = next(v for v in frames(engine, ID, "a fact")[-1].views if isinstance(v, Curve))
    assert list(curve.series[0].y) == sorted(curve.series[0].y)
    assert curve.log_y


def test_the_distribution_before_and_after_the_filters_sums_to_one(engine: Engine) -> None:
    last = frames(engine, ID, "a matter of taste")[-1]
    bars = [v for v in last.views if isinstance(v, Bars)]
    assert [b.key for b in bars] == ["the model's own", "what is left"]
    assert all(sum(b.values) == pytest.approx(1, abs=1e-4) for b in bars)
    table = next(v for v in last.views if isinstance(v, Table) and v.title == "stage by stage")
    assert [row[0] for row in table.rows] == ["temperature", "top-k", "top-p", "min-p"]
    entropies = [float(row[2]) for row in table.rows]
    assert entropies == sorted(entropies, reverse=True)


def test_the_same_seed_draws_the_same(engine: Engine) -> None:
    first, again, other = (frames(engine, ID, draws=300, seed=seed)[-1].views for seed in (3, 3, 4))
    assert first == again != other


def test_a_single_draw_has_a_result(engine: Engine) -> None:
    m = measured(engine, ID, draws=1)
    assert (m["samples"], m["different_tokens_drawn"]) == (1, 1)
