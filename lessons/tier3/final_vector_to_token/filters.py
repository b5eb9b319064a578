"""Where each filter alone would cut the list, and what is left when they come before the heat or after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.generation.sampling import (
    SamplingParams,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    stages,
)
from llm_holes.engine.numbers import percent


def params_of(p: Mapping[str, Any]) -> SamplingParams:
    return SamplingParams(p["temperature"], p["top_k"], p["top_p"], p["min_p"], p["seed"])


def each_alone(params: SamplingParams) -> dict[str, SamplingParams]:
    """The filters that are on, by their names, each without the others. Temperature 0 is a rule of its own."""
    if params.temperature <= 0:
        return {"temperature 0": params}
    bare = replace(params, top_k=0, top_p=1.0, min_p=0.0)
    found = {}
    if params.top_k:
        found[f"top-k {params.top_k}"] = replace(bare, top_k=params.top_k)
    if params.top_p < 1:
        found[f"top-p {percent(params.top_p)}"] = replace(bare, top_p=params.top_p)
    if params.min_p:
        found[f"min-p {percent(params.min_p)}"] = replace(bare, min_p=params.min_p)
    return found


def kept(logits: Tensor, params: SamplingParams) -> int:
    """How many tokens are left of logits [vocabulary]."""
    return stages(logits, params)[-1].kept


def kept_by_each(logits: Tensor, params: SamplingParams) -> dict[str, int]:
    """How many tokens each filter alone keeps; one that is off keeps all of them."""
    bare = replace(params, top_k=0, top_p=1.0, min_p=0.0)
    return {
        "kept_by_topk": kept(logits, replace(bare, top_k=params.top_k)),
        "kept_by_topp": kept(logits, replace(bare, top_p=params.top_p)),
        "kept_by_minp": kept(logits, replace(bare, min_p=params.min_p)),
    }


def filters_first(logits: Tensor, params: SamplingParams) -> Tensor:
    """The distribution [vocabulary] if the filters come before the temperature, as in llama.cpp."""
    if params.temperature <= 0:
        return stages(logits, params)[-1].probabilities
    p = keep_min_p(keep_top_p(keep_top_k(logits.softmax(-1), params.top_k), params.top_p), params.min_p)
    return (logits.masked_fill(p == 0, -torch.inf) / params.temperature).softmax(-1)


def heat_first(logits: Tensor, params: SamplingParams) -> Tensor:
    """The distribution [vocabulary] if the temperature comes before the filters, as in vLLM and transformers."""
    return stages(logits, params)[-1].probabilities
