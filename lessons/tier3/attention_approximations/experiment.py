"""Replaces attention by something cheaper, in a model trained with the real thing: the error, the damage, the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Curve, Frame, Series, series
from llm_holes.engine.measure import kl_nats, perplexity
from llm_holes.engine.model.decoder import AttentionFn
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.surgery.linear_attention import EluFeatures, NoFeatures, RandomFeatures
from llm_holes.engine.surgery.operations import AttentionReplaced
from llm_holes.engine.surgery.pooled_attention import Landmarks, TopKeys, WholeTextLandmarks
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report, keyed
from llm_holes.lessons.tier3.attention_approximations.trials import Heads, Times, future_leak, race, relative_error

POINTS = ("attn.hook_rot_q", "attn.hook_rot_k", "attn.hook_v")
SIZES = {
    "random features": (4, 16, 64, 256),
    "landmarks": (2, 4, 8, 16, 32),
    "landmarks of the whole text": (2, 4, 8, 16, 32),
    "best keys": (1, 2, 4, 8, 16, 32),
}


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    config = engine.model.config
    layers = chosen(p["layers"], p["layer"], config.n_layers)
    attention_fn = attention_fn_of(p["method"], p["size"], p["seed"])
    ids = passage_ids(engine, p["tokens"])
    targets = torch.tensor(ids)
    names = [tap(layer, point) for layer in layers for point in POINTS]
    whole = engine.model.forward(targets[None], taps=names)
    heads = [_heads(whole.acts, layer) for layer in layers]
    report, error = Report(), relative_error(attention_fn, heads)
    report.measure(
        method=p["method"],
        tokens=len(ids),
        layers_changed=len(layers),
        relative_error=error,
        future_leak=future_leak(attention_fn, heads[len(heads) // 2]),
    )
    report.say(f"{p['method']}: what attention brings home is off by {percent(error)} of its length.")
    report.show(
        error=_by_layer(layers, heads, attention_fn) if len(layers) > 1 else _by_head(heads[0], attention_fn),
        error_by_size=_by_size(engine, p, heads) if p["method"] in SIZES else None,
    )
    yield report.frame(0.3)

    intact = whole.logits[0]
    changed = engine.operated([AttentionReplaced(attention_fn, layers)]).logits(ids)
    average = engine.operated([AttentionReplaced(NoFeatures(), layers)]).logits(ids)
    before, after, blind = (perplexity(logits, targets) for logits in (intact, changed, average))
    report.measure(
        kl_nats=kl_nats(intact, changed),
        perplexity_full=before,
        perplexity_approx=after,
        perplexity_average=blind,
    )
    report.say(
        f"{p['method']} in {len(layers)} of {plural(config.n_layers, 'layer')}: perplexity {figure(before)} "
        f"becomes {figure(after)}."
    )
    report.show(*keyed({"perplexity": _quality(report.measured)}), *report.views)
    yield report.frame(0.7)

    times = race(engine.model, attention_fn, min(p["time_tokens"], config.n_ctx))
    found = (
        f"Faster from {plural(times.crossover, 'token')} on" if times.crossover else "Not faster at any length tried"
    )
    report.measure(_timed(times))
    report.show_also(time=_times(times))
    report.say_also(f"{found}.")
    yield report.frame()


def attention_fn_of(method: str, size: int, seed: int) -> AttentionFn:
    attention_fns: dict[str, AttentionFn] = {
        "linear": EluFeatures(),
        "random features": RandomFeatures(size, seed),
        "landmarks": Landmarks(size),
        "landmarks of the whole text": WholeTextLandmarks(size),
        "best keys": TopKeys(size),
        "plain average": NoFeatures(),
    }
    return attention_fns[method]


def _heads(acts: Mapping[str, Any], layer: int) -> Heads:
    q, k, v = (torch.from_numpy(acts[tap(layer, point)]).transpose(1, 2) for point in POINTS)
    return q, k, v


def _timed(times: Times) -> dict[str, Any]:
    exact, other = times.exact[-1], times.approximate[-1]
    return {
        "crossover_found": times.crossover > 0,
        "crossover_tokens": times.crossover,
        "longest_tokens": times.tokens[-1],
        "ms_exact": exact.median,
        "ms_exact_spread": [exact.fastest, exact.slowest],
        "ms_approx": other.median,
        "ms_approx_spread": [other.fastest, other.slowest],
    }


def _quality(measured: Mapping[str, Any]) -> Bars:
    """Among how many words the model hesitates: with exact attention, this method, and no comparison at all."""
    labels = ("exact attention", measured["method"], "all earlier tokens alike")
    values = tuple(measured[f"perplexity_{way}"] for way in ("full", "approx", "average"))
    return Bars(f"perplexity on {plural(measured['tokens'], 'token')} of {NAME}", labels, values, marked=1)


def _by_size(engine: Engine, p: Mapping[str, Any], heads: Sequence[Heads]) -> Curve:
    errors = []
    for size in SIZES[p["method"]]:
        if engine.model.is_cancelled():
            raise Cancelled
        errors.append(relative_error(attention_fn_of(p["method"], size, p["seed"]), heads))
    title = "error by size (1: as long as the right answer)"
    return Curve(title, (series("error", SIZES[p["method"]], errors),), x_label="size", y_label="error")


def _by_layer(layers: Sequence[int], heads: Sequence[Heads], attention_fn: AttentionFn) -> Curve:
    errors = [relative_error(attention_fn, [one]) for one in heads]
    return Curve("error by layer", (series("error", layers, errors),), x_label="layer", y_label="error")


def _by_head(heads: Heads, attention_fn: AttentionFn) -> Bars:
    q, k, v = heads
    group = q.shape[1] // k.shape[1]
    errors = [
        relative_error(attention_fn, [(q[:, n, None], k[:, n // group, None], v[:, n // group, None])])
        for n in range(q.shape[1])
    ]
    return Bars("error by head", tuple(f"head {n}" for n in range(len(errors))), tuple(errors))


def _times(times: Times) -> Curve:
    lines = tuple(
        Series(
            name,
            tuple(map(float, times.tokens)),
            *(tuple(getattr(t, part) for t in found) for part in ("median", "fastest", "slowest")),
        )
        for name, found in (("exact", times.exact), ("approximate", times.approximate))
    )
    return Curve("time of one layer's attention, with spread", lines, x_label="tokens", y_label="ms")
