"""Many looks at one word, and one for all; each head silenced in turn; what many cost; softmax in tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Bars, Diff, Frame, Heatmap, View
from llm_holes.engine.interpret.ablation_sweep import without_each_head
from llm_holes.engine.interpret.logit_lens import tapped
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import exact, figure, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.architectures import scores_of_layers
from llm_holes.lessons.shared.head_views import head_name
from llm_holes.lessons.shared.position_choice import position_of
from llm_holes.lessons.shared.report import Report, keyed
from llm_holes.lessons.tier4.multi_head_attention import looks, one_for_all
from llm_holes.lessons.tier4.multi_head_attention.head_costs import cost_table, costs, in_tiles, tile_map, tile_table

LONGEST = 128
"""Tokens of the text whose patterns are drawn."""
POINTS = (
    "ln1.hook_normalized",
    "attn.hook_rot_q",
    "attn.hook_rot_k",
    "attn.hook_v",
    "attn.hook_pattern",
    "attn.hook_z",
)
STEPS = (0.001, 0.01, 0.1, 1.0)
UNMISSED, FLOOR = 0.01, 0.0001


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"], p["max_new_tokens"])
    layer, config = p["layer"], engine.model.config
    acts = tapped(engine.model, ids[:LONGEST], [tap(layer, x) for x in POINTS])
    normed, q, k, v, pattern, z = (torch.as_tensor(acts[tap(layer, x)][0]) for x in POINTS)
    patterns, names = pattern.numpy(), [engine.token_text(i) for i in ids[:LONGEST]]
    position = position_of(p["position"], len(names))
    report = Report()
    report.measure(looks.favourites(patterns, names, position))
    report.measure(heads=config.n_heads, patterns_mean_cosine=_alike(pattern))
    report.measure(costs(engine, normed, layer, p["tokens"], p["heads"]))
    report.measure(in_tiles(q, k, v, z, config.kv_group, p["tile"]))
    m = report.measured
    tables = keyed(
        {
            "what_they_cost": cost_table(m, p["tokens"]),
            "in_tiles": tile_map(names, p["tile"]),
            "tile_by_tile": tile_table(m, p["tile"]),
            "published_models": scores_of_layers(p["tokens"]),
        }
    )
    one_word = looks.one_word(layer, patterns, names, position, p["head"])
    shown: dict[str, View] = {"one_word": one_word, "the_heads": looks.all_words(layer, patterns, p["head"])}
    report.show(*keyed(shown), *tables)
    report.say(f"Where the {plural(config.n_heads, 'head')} of layer {layer} look from {spelt(names[position])}.")
    yield report.frame(0.05)

    for found in one_for_all.in_every_place(engine, layer, p["shared_in"]):
        shown["one_look_for_all"] = one_for_all.bars(found, p["shared_in"], layer)
        report.show(*keyed(shown), *tables)
        yield report.frame(0.05 + 0.05 * len(found))
    report.measure(found[p["shared_in"]])
    shared = engine.operated([one_for_all.sharing(engine, p["shared_in"], layer)])
    before, after = (e.write(ids, p["max_new_tokens"]) for e in (engine, shared))
    report.measure(text_differs=before != after)
    title = f"what follows, and with one look for all heads ({p['shared_in']})"
    shown["what_it_writes"] = Diff(title, before, after, "many looks", "one look")

    layers = [layer] if p["ablate"] == "this layer" else list(range(config.n_layers))
    text = ids[: p["kl_tokens"]]
    importance: list[list[float]] = []
    for more in without_each_head(engine.model, text, layers):
        importance += more
        shown["without_one_head"] = _map(importance, layers, (layer, p["head"]), len(text))
        report.show(*keyed(shown), *tables)
        report.say(_so_far(importance, layers))
        yield report.frame(0.3 + 0.7 * len(importance) / len(layers))

    report.measure(_importance(importance, layers))
    own = importance[layers.index(layer)]
    shown["the_heads"] = looks.all_words(layer, patterns, p["head"], [f"silenced: KL {figure(kl)}" for kl in own])
    shown["how_many_matter"] = _histogram(importance)
    report.show(*keyed(shown), *tables)
    report.say(_caption(report.measured))
    yield report.frame()


def _alike(pattern: Tensor) -> float:
    """Mean cosine of two heads' patterns [head, query, key]; 1 for a single head."""
    flat = torch.nn.functional.normalize(pattern.flatten(1), dim=-1)
    heads = len(flat)
    return float(((flat @ flat.T).sum() - heads) / (heads * (heads - 1))) if heads > 1 else 1.0


def _importance(importance: Sequence[Sequence[float]], layers: Sequence[int]) -> dict[str, Any]:
    values = np.array(importance)
    row, head = divmod(int(values.argmax()), values.shape[1])
    return {
        "head_importance": values.flatten().tolist(),
        "heads_silenced": values.size,
        "most_important_head": head_name(layers[row], head),
        "kl_most_important_head": float(values.max()),
        "kl_median_head": float(np.median(values)),
        "share_hardly_missed": float((values < UNMISSED).mean()),
    }


def _map(importance: Sequence[Sequence[float]], layers: Sequence[int], chosen: tuple[int, int], tokens: int) -> Heatmap:
    """Shades by powers of ten: one head can weigh as much as a hundred others."""
    rows = np.full((len(layers), len(importance[0])), np.nan, np.float32)
    rows[: len(importance)] = importance
    kls = rows.flatten().tolist()
    return Heatmap(
        f"without one head: KL on the first {plural(tokens, 'token')} of the text",
        Array.of(np.log10(rows.clip(FLOOR) / FLOOR)),
        row_label="layer",
        column_label="head",
        row_names=tuple(map(str, layers)),
        unit=f"powers of ten above {FLOOR} nats",
        row_control="layer" if len(layers) > 1 else "",
        column_control="head",
        cursor=(layers.index(chosen[0]), chosen[1]),
        details=tuple("not silenced yet" if np.isnan(kl) else f"silenced, KL {figure(kl)} nats" for kl in kls),
    )


def _histogram(importance: Sequence[Sequence[float]]) -> Bars:
    values = np.array(importance).flatten()
    counts = np.bincount(np.searchsorted(STEPS, values, side="right"), minlength=len(STEPS) + 1)
    labels = [f"under {STEPS[0]}", *(f"{exact(low)} to {exact(high)}" for low, high in pairwise(STEPS))]
    title = "how many heads cost how much, nats"
    return Bars(title, (*labels, f"{exact(STEPS[-1])} and more"), tuple(map(float, counts)), f"heads of {len(values)}")


def _so_far(importance: Sequence[Sequence[float]], layers: Sequence[int]) -> str:
    done = sum(map(len, importance))
    row, head = divmod(int(np.argmax(importance)), len(importance[0]))
    return f"{plural(done, 'head')} silenced, one at a time; so far {head_name(layers[row], head)} is missed most."


def _caption(m: Mapping[str, Any]) -> str:
    return (
        f"{percent(m['share_hardly_missed'])} of {plural(m['heads_silenced'], 'head')} cost under {UNMISSED} nats, the "
        f"median {figure(m['kl_median_head'])}; {m['most_important_head']}, missed most, "
        f"{figure(m['kl_most_important_head'])}."
    )
