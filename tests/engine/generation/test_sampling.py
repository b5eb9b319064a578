"""Filters keep what their definitions say, in order, and draws follow the probabilities."""

from __future__ import annotations

import torch

from llm_holes.engine.generation.sampling import (
    SamplingParams,
    generator,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    sample,
    stages,
)

P = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03])


def kept(p: torch.Tensor) -> list[int]:
    return p.nonzero().flatten().tolist()


def test_top_k_top_p_and_min_p_keep_the_tokens_they_define() -> None:
    assert kept(keep_top_k(P, 2)) == [0, 1]
    assert kept(keep_top_p(P, 0.75)) == [0, 1]
    assert kept(keep_top_p(P, 0.76)) == [0, 1, 2]
    assert kept(keep_top_p(P, 0.0)) == [0]
    assert kept(keep_min_p(P, 0.3)) == [0, 1, 2]


def test_filters_off_keep_everything_and_renormalise_otherwise() -> None:
    for same in (keep_top_k(P, 0), keep_top_k(P, 9), keep_top_p(P, 1.0), keep_min_p(P, 0.0)):
        assert torch.equal(same, P)
    for filtered in (keep_top_k(P, 3), keep_top_p(P, 0.6), keep_min_p(P, 0.2)):
        assert abs(filtered.sum().item() - 1) < 1e-6


def test_stages_come_in_order_and_only_narrow() -> None:
    found = stages(P.log(), SamplingParams(temperature=0.8, top_k=4, top_p=0.9, min_p=0.2))
    assert [stage.name for stage in found] == ["temperature", "top-k", "top-p", "min-p"]
    counts = [stage.kept for stage in found]
    assert counts == sorted(counts, reverse=True)


def test_temperature_zero_is_argmax() -> None:
    assert sample(P.log(), SamplingParams(temperature=0), generator(0)) == 0
    assert stages(P.log(), SamplingParams())[0].kept == 1


def test_a_ban_takes_the_token_out_and_a_bias_puts_it_in_front() -> None:
    assert sample(P.log(), SamplingParams(logit_bias={0: -torch.inf}), generator(0)) == 1
    assert sample(P.log(), SamplingParams(logit_bias={4: 10.0}), generator(0)) == 4
    assert stages(P.log(), SamplingParams(temperature=1, logit_bias={0: -torch.inf}))[-1].probabilities[0] == 0


def test_draws_follow_the_probabilities_and_the_seed() -> None:
    params = SamplingParams(temperature=1.0, top_k=4)
    expected = keep_top_k(P, 4)
    rng = generator(7)
    counts = torch.bincount(torch.tensor([sample(P.log(), params, rng) for _ in range(4000)]), minlength=5)
    chi_square = ((counts[:4] - 4000 * expected[:4]) ** 2 / (4000 * expected[:4])).sum().item()
    assert counts[4] == 0
    assert chi_square < 16.27  # 3 degrees of freedom, p = 0.001
    again, same = generator(7), generator(7)
    assert [sample(P.log(), params, again) for _ in range(20)] == [sample(P.log(), params, same) for _ in range(20)]
