"""Replaces attention by something cheaper in a model trained with the real thing: the weights, the damage, the time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame
from llm_holes.engine.interpret.flash_attention import tiled_attention
from llm_holes.engine.measure import changed_share, kl_nats, loss_nats
from llm_holes.engine.model.decoder import AttentionFn, fused_attention
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import percent
from llm_holes.engine.surgery.attention_parts import unmasked
from llm_holes.engine.surgery.chosen_keys import Buckets
from llm_holes.engine.surgery.linear_attention import NoFeatures
from llm_holes.engine.surgery.operations import AttentionReplaced
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.attention_approximations.methods import attention_fn_of, maps, weights_of
from llm_holes.lessons.tier3.attention_approximations.trials import Heads, Times, future_leak, race, relative_error
from llm_holes.lessons.tier3.attention_approximations.views import by_head, by_layer, pairs, surprise, time_curve

POINTS = ("attn.hook_rot_q", "attn.hook_rot_k", "attn.hook_v")
TILE = 16
SEEDS_APART, CLEARLY = 0.3, 1.0
"""Nats of mean surprise: what other seeds alone can change, and a difference beyond doubt."""
BEGINNING, WRITTEN = 16, 12
"""Tokens of the text that are read before the model writes, and tokens it writes."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    config = engine.model.config
    layers = chosen(p["layers"], p["layer"], config.n_layers)
    buckets = int(p["buckets"])
    attention_fn = attention_fn_of(p["method"], p["size"], buckets, p["seed"])
    ids = _ids(engine, p["text"], p["tokens"])
    targets = torch.tensor(ids)
    names = [tap(layer, point) for layer in {*layers, p["layer"]} for point in POINTS]
    whole = engine.model.forward(targets[None], taps=names)
    heads, shown = [_heads(whole.acts, layer) for layer in layers], _heads(whole.acts, p["layer"])
    report, error = Report(), relative_error(attention_fn, heads)
    words = [engine.token_text(i) for i in ids]
    report.measure(
        method=p["method"],
        tokens=len(ids),
        layers_changed=len(layers),
        relative_error=error,
        future_leak=future_leak(attention_fn, heads[len(heads) // 2]),
        flash_max_abs_diff=max(_flash_diff(one) for one in heads),
    )
    report.say(f"“{p['method']}”: the vectors that attention adds are off by {percent(error)} of their length.")
    exact_weights = weights_of(fused_attention, shown, p["head"])[1:]
    report.measure(weight_on_best=float(exact_weights.amax(-1).mean()))
    report.show(
        maps=maps(shown, p["head"], words, p["method"], p["seed"]),
        error=by_layer(layers, heads, attention_fn) if len(layers) > 1 else by_head(heads[0], attention_fn),
    )
    yield report.frame(0.2)

    read: dict[AttentionFn, Tensor] = {}

    def reading(other: AttentionFn) -> Tensor:
        """The logits with this attention in the chosen layers."""
        if other not in read:
            read[other] = engine.operated([AttentionReplaced(other, layers)]).logits(ids)
        return read[other]

    intact, changed, blind = whole.logits[0], reading(attention_fn), reading(NoFeatures())
    report.measure(_damage(intact, changed, blind, targets))
    lines = {p["method"]: changed, "exact attention": intact, "all tokens alike": blind}
    report.show_also(surprise=surprise(lines, targets))
    yield report.frame(0.4)

    peeking = reading(unmasked)
    begin = ids[:BEGINNING]
    report.measure(
        perplexity_no_mask=math.exp(loss_nats(peeking, targets)),
        written_exact=_written(engine, begin),
        written_no_mask=_written(engine.operated([AttentionReplaced(unmasked, layers)]), begin),
    )
    report.show_also(peeking=surprise({"it may peek": peeking, "exact attention": intact}, targets))
    yield report.frame(0.6)

    hashed, lots, best = (Buckets(buckets, p["seed"], by) for by in ("hash", "lot", "score"))
    report.measure(
        share_hashed=_share_seen(hashed, heads),
        loss_hashing=loss_nats(reading(hashed), targets),
        loss_random_pairs=loss_nats(reading(lots), targets),
        loss_best_pairs=loss_nats(reading(best), targets),
        loss_exact=loss_nats(intact, targets),
    )
    report.measure(hashing_helps=_helps(report.measured))
    report.show_also(hashing=pairs(report.measured, config.d_vocab))
    yield report.frame(0.8)

    times = race(engine.model, attention_fn, min(p["time_tokens"], config.n_ctx))
    report.measure(_timed(times))
    report.show_also(time=time_curve(times))
    yield report.frame()


def _ids(engine: Engine, text: str, count: int) -> list[int]:
    """The first tokens of the learner's text, or of the passage. Raises InputError where no next token is to guess."""
    ids = engine.encode(text)[:count] if text else passage_ids(engine, count)
    if len(ids) < 2:
        raise InputError("a text of one token leaves no next token to guess", "Type a few words more.")
    return ids


def _heads(acts: Mapping[str, Any], layer: int) -> Heads:
    q, k, v = (torch.as_tensor(acts[tap(layer, point)]).transpose(1, 2) for point in POINTS)
    return q, k, v


def _flash_diff(heads: Heads) -> float:
    """How far attention in tiles, as FlashAttention computes it, is from attention all at once."""
    q, k, v = heads
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    return float((tiled_attention(q[0], k[0], v[0], TILE) - fused_attention(q, k, v)[0]).abs().max())


def _share_seen(hashed: Buckets, heads: Sequence[Heads]) -> float:
    """Of all pairs of a token and one so far, those that the hash leaves."""
    seen = allowed = 0
    for q, k, _ in heads:
        left = hashed.seen(q, k.repeat_interleave(q.shape[1] // k.shape[1], dim=1))
        seen += int(left.sum())
        allowed += q.shape[1] * q.shape[2] * (q.shape[2] + 1) // 2
    return seen / allowed


def _helps(measured: Mapping[str, Any]) -> str:
    """Whether hashing did better than the lot, in words."""
    exact, by_hash, by_lot = (measured[f"loss_{way}"] for way in ("exact", "hashing", "random_pairs"))
    if max(by_hash, by_lot) - exact < SEEDS_APART:
        return "hardly matters"
    gain = by_lot - by_hash
    return "yes" if gain > CLEARLY else "a little" if gain > SEEDS_APART else "no"


def _damage(intact: Tensor, changed: Tensor, blind: Tensor, targets: Tensor) -> dict[str, Any]:
    full, approx, average = (math.exp(loss_nats(logits, targets)) for logits in (intact, changed, blind))
    return {
        "kl_nats": kl_nats(intact, changed),
        "changed_words_share": changed_share(intact, changed),
        "perplexity_full": full,
        "perplexity_approx": approx,
        "perplexity_average": average,
    }


def _written(engine: Engine, begin: Sequence[int]) -> str:
    return " ".join(engine.write(begin, WRITTEN).split())


def _timed(times: Times) -> dict[str, Any]:
    exact, other = times.exact[-1], times.approximate[-1]
    return {
        "crossover_found": times.crossover > 0,
        "crossover_tokens": times.crossover,
        "longest_tokens": times.tokens[-1],
        "ms_exact": exact.fastest,
        "ms_exact_spread": [exact.fastest, exact.slowest],
        "ms_approx": other.fastest,
        "ms_approx_spread": [other.fastest, other.slowest],
    }
