"""One head in the open: scores, weights and what they carry; all heads by type; and the text without this head."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Diff, Frame, Heatmap, Table
from llm_holes.engine.interpret.head_types import HeadScores, head_scores
from llm_holes.engine.measure import kl_nats
from llm_holes.engine.model.decoder import causal_mask
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.operations import HeadOff, weight
from llm_holes.lessons.shared.head_views import gallery_by_type, head_name, map_by_type, table_of_types
from llm_holes.lessons.shared.position_choice import position_of, window_start
from llm_holes.lessons.shared.report import Report

WINDOW = 192
TOP_KEYS = 10
KL_POSITIONS = 512
POINTS = ("attn.hook_rot_q", "attn.hook_rot_k", "attn.hook_v", "attn.hook_z")


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"], p["max_new_tokens"])
    layer, head = p["layer"], p["head"]
    position = position_of(p["position"], len(ids))
    acts = engine.model.forward(torch.tensor([ids]), taps=[tap(layer, x) for x in POINTS], logits_to_keep=1).acts
    q, k, v, z = (torch.tensor(acts[tap(layer, x)][0]) for x in POINTS)
    start = window_start(position, len(ids), WINDOW)
    end, row = min(start + WINDOW, len(ids)), position - start
    values = v[:end, head // engine.model.config.kv_group]
    config = engine.model.config
    scores = scaled_scores(q[start:end, head], k[:end, head // config.kv_group], config.windows[layer])
    weights = scores.softmax(-1)
    report = Report()
    report.measure(
        tokens=len(ids),
        attention_reproduced_max_abs_diff=float((weights @ values - z[start:end, head]).abs().max()),
        weight_on_first_token=float(weights[row, 0]),
    )
    report.measure(_carried(weights[row, : position + 1], values))
    report.measure(columns_zeroed_max_abs_diff=columns_zeroed(engine, layer, head, z))
    names = [engine.token_text(i) for i in ids]
    pattern = _pattern(weights[:, start:], names[start:end], f"layer {layer}, head {head}: who looks at whom", len(ids))
    reads = _reads(engine, (layer, head), names, position, scores[row], values)
    report.show(pattern, reads)
    report.say(_caption(names, position, weights[row]))
    yield report.frame(0.3)

    found = head_scores(engine.model, ids)
    report.measure(_types(found, layer, head))
    views = (pattern, reads, map_by_type(found, p["gallery"], (layer, head)), table_of_types(found))
    gallery = gallery_by_type(found, found.text, (layer, head))
    report.show(*views, gallery)
    yield report.frame(0.6)

    off = [HeadOff(layer, head), *_strongest(found, p["gallery"], p["also_off"], (layer, head))]
    without = engine.operated(off)
    damage = _ablation(engine, without, ids)
    diff = _texts(engine, without, ids, p["max_new_tokens"], [head_name(o.layer, o.head) for o in off])
    report.measure(damage, heads_off=len(off), text_differs=diff.before != diff.after)
    report.show(*views, diff, gallery)
    report.say_also(
        f"With {plural(len(off), 'head')} off: KL {figure(damage['kl_ablated_head'])} nats, "
        f"P({spelt(damage['next_token'])}) {percent(damage['p_next'])} → {percent(damage['p_next_ablated'])}."
    )
    yield report.frame()


def _texts(engine: Engine, without: Engine, ids: Sequence[int], new_tokens: int, off: Sequence[str]) -> Diff:
    text, changed = (e.write(ids, new_tokens) for e in (engine, without))
    return Diff(f"what follows, and without {', '.join(off)}", text, changed, "all heads", f"{len(off)} off")


def _strongest(found: HeadScores, kind: str, count: int, but: tuple[int, int]) -> list[HeadOff]:
    """The `count` heads with the highest score of this type, all but one."""
    scores = found.by_type[kind]
    places = [divmod(int(i), scores.shape[1]) for i in np.argsort(scores, axis=None)[::-1]]
    return [HeadOff(*place) for place in places if place != but][:count]


def _ablation(engine: Engine, without: Engine, ids: Sequence[int]) -> dict[str, Any]:
    keep = min(len(ids), KL_POSITIONS)
    intact, changed = engine.logits(ids, keep), without.logits(ids, keep)
    following = int(intact[-1].argmax())
    return {
        "kl_ablated_head": kl_nats(intact, changed),
        "next_token": engine.token_text(following),
        "p_next": float(intact[-1].softmax(-1)[following]),
        "p_next_ablated": float(changed[-1].softmax(-1)[following]),
    }


def columns_zeroed(engine: Engine, layer: int, head: int, z: Tensor) -> float:
    """Largest difference in what the layer's attention adds between silencing a head of z [pos, head, d_head] and
    zeroing the columns of the output projection that belong to it."""
    matrix = weight(engine.model, f"model.layers.{layer}.self_attn.o_proj.weight")
    size, without, silent = engine.model.config.d_head, matrix.clone(), z.clone()
    without[:, head * size : (head + 1) * size] = 0
    silent[:, head] = 0
    return float((silent.flatten(1) @ matrix.T - z.flatten(1) @ without.T).abs().max())


def _carried(weights: Tensor, values: Tensor) -> dict[str, float]:
    """How long the first token's value is, against the others a token sees, and what that token takes home."""
    norms = values[: len(weights)].norm(dim=-1)
    return {
        "value_length_first": float(norms[0]),
        "value_length_others": float(norms[1:].median()) if len(norms) > 1 else float(norms[0]),
        "carried_length": float((weights @ values[: len(weights)]).norm()),
    }


def scaled_scores(q: Tensor, k: Tensor, window: int | None) -> Tensor:
    """q·k/√d_head of the last queries with all keys, [query, key], future keys and those before the window at minus
    infinity; written anew, to check the decoder."""
    scores = q @ k.T / math.sqrt(q.shape[-1])
    return scores.masked_fill(~causal_mask(len(q), len(k), window), -torch.inf)


def _pattern(weights: Tensor, names: Sequence[str], title: str, tokens: int) -> Heatmap:
    """The weights [query, key] among the tokens named, of `tokens` in all."""
    shown = weights.masked_fill(~causal_mask(len(names), len(names)), math.nan)
    whole = len(names) == tokens
    return Heatmap(
        title if whole else f"{title} ({len(names):,} of {plural(tokens, 'token')})",
        Array.of(shown.numpy()),
        row_label="token",
        column_label="looks at",
        row_names=tuple(names),
        column_names=tuple(names),
        unit="weight",
        row_control="position" if whole else "",
    )


def _reads(
    engine: Engine, place: tuple[int, int], names: Sequence[str], position: int, scores: Tensor, values: Tensor
) -> Table:
    """For one token: which earlier tokens it looks at, and how long the vector is that each of them sends."""
    layer, head = place
    size = engine.model.config.d_head
    output = engine.model.weights[f"model.layers.{layer}.self_attn.o_proj.weight"][:, head * size : (head + 1) * size]
    weights = scores.softmax(-1)
    sent = (weights[:, None] * values @ output.T).norm(dim=-1)
    best = weights.topk(min(TOP_KEYS, position + 1)).indices.tolist()
    rows = tuple(
        (i, names[i], float(scores[i]), float(weights[i]), float(values[i].norm()), float(sent[i])) for i in best
    )
    title = f"what token {position}, {spelt(names[position])}, reads"
    return Table(title, ("", "token", "score", "weight", "length of value", "length of what it adds"), rows)


def _types(found: HeadScores, layer: int, head: int) -> dict[str, Any]:
    best = np.unravel_index(found.by_type["induction"].argmax(), found.by_type["induction"].shape)
    own = [kind for kind, scores in found.by_type.items() if scores[layer, head] >= found.threshold]
    return {
        "head_types": {kind: int((scores >= found.threshold).sum()) for kind, scores in found.by_type.items()},
        "type_threshold": found.threshold,
        "this_head_is": ", ".join(own) or "none of these",
        "top_induction_head": head_name(int(best[0]), int(best[1])),
        "rows_sum_to_one_max_abs_diff": found.row_sum_error,
        "causal_violation": found.future_weight,
    }


def _caption(names: Sequence[str], position: int, weights: Tensor) -> str:
    best = int(weights.argmax())
    where = "itself" if best == position else f"{spelt(names[best])} at {best}"
    return f"Token {position}, {spelt(names[position])}, looks most at {where} ({percent(float(weights[best]))})."
