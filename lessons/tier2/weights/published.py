"""What a run publishes: sizes, one weight and its products, the weight that was found, and what the damage did."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.interpret.weight_map import totals
from llm_holes.engine.measure import changed_share, kl_nats, loss_nats, perplexity
from llm_holes.engine.surgery.weights import WeightScaled, as_matrix
from llm_holes.lessons.tier2.weights.at_work import AtWork
from llm_holes.lessons.tier2.weights.weight_views import PUBLISHED_MODELS, short, value

LARGEST_MODEL = max(PUBLISHED_MODELS.values())
LEAST = 1e-3
"""What a model knows at least, in nats, so that there is a share of it."""


def counted(engine: Engine, bits: int) -> dict[str, Any]:
    found = totals(engine.model.weights)
    everything = sum(found.values())
    return {
        "parameters_total": everything,
        **{f"parameters_{name}": found[name] for name in found},
        "bits": bits,
        "model_gb": everything * bits / 8 / 1e9,
        "largest_model_gb": LARGEST_MODEL * bits / 8 / 1e9,
        "largest_model_times": LARGEST_MODEL / everything,
    }


def at_its_place(engine: Engine, place: WeightScaled, work: AtWork, position: int) -> dict[str, Any]:
    w = as_matrix(engine.model.weights[place.name])
    products = work.products(position)
    own = float(products[work.chosen])
    return {
        "matrix": short(place.name),
        "matrix_rows": w.shape[0],
        "matrix_columns": w.shape[1],
        "weight_std": float(w.std()),
        "row": place.row,
        "column": place.column,
        "weight_value": value(engine, place),
        "products_added": len(products),
        "input_value": float(work.inputs[position, work.chosen]),
        "product_value": own,
        "output_value": float(products.sum()),
        "product_share": abs(own) / float(products.abs().sum().clamp_min(1e-12)),
    }


def of_the_found(engine: Engine, matters: WeightScaled, vital: AtWork, peak: int) -> dict[str, Any]:
    own = value(engine, matters)
    elsewhere = vital.fires.abs().clone()
    elsewhere[peak] = 0
    products = vital.products(peak)
    return {
        "found_matrix": short(matters.name),
        "found_row": matters.row,
        "found_column": matters.column,
        "found_value": own,
        "larger_weights_in_matrix": int((engine.model.weights[matters.name].abs() > abs(own)).sum()),
        "found_input_value": float(vital.fires[peak]),
        "found_elsewhere_value": float(elsewhere.max()),
        "found_product_value": float(products[vital.chosen]),
        "found_output_value": float(products.sum()),
        "text_tokens": len(elsewhere),
    }


def moved(engine: Engine, ids: Sequence[int], intact: Tensor, changed: Tensor) -> dict[str, Any]:
    targets, nothing = torch.tensor(ids), log(engine.model.config.d_vocab)
    before, after = loss_nats(intact, targets), loss_nats(changed, targets)
    return {
        "passage_tokens": len(ids),
        "kl_nats": kl_nats(intact, changed),
        "perplexity_intact": perplexity(intact, targets),
        "perplexity_changed": perplexity(changed, targets),
        "loss_intact": before,
        "loss_changed": after,
        "loss_knowing_nothing": nothing,
        "knowledge_lost_share": (after - before) / max(nothing - before, LEAST),
        "changed_words_share": changed_share(intact, changed),
    }


def next_token(engine: Engine, intact: Tensor, changed: Tensor) -> dict[str, Any]:
    best = int(intact.argmax())
    return {
        "next_token": engine.token_text(best),
        "p_next": float(intact.softmax(-1)[best]),
        "p_next_damaged": float(changed.softmax(-1)[best]),
        "next_token_damaged": engine.token_text(int(changed.argmax())),
    }
