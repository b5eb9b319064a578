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
from llm_holes.engine.head_types import HeadScores, head_scores
from llm_holes.engine.measure import kl_nats
from llm_holes.engine.model import causal_mask
from llm_holes.engine.surgery import HeadOff
from llm_holes.engine.taps import tap

WINDOW = 192
TOP_KEYS = 10
KL_POSITIONS = 512
POINTS = ("attn.hook_rot_q", "attn.hook_rot_k", "attn.hook_v", "attn.hook_z")


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"], p["max_new_tokens"])
    layer, head = p["layer"], p["head"]
    position = len(ids) - 1 if p["position"] < 0 else min(p["position"], len(ids) - 1)
    acts = engine.model.forward(torch.tensor([ids]), taps=[tap(layer, x) for x in POINTS], logits_to_keep=1).acts
    q, k, v, z = (torch.tensor(acts[tap(layer, x)][0]) for x in POINTS)
    group = head // engine.model.config.group
    scores = scaled_scores(q[:, head], k[:, group])
    weights = scores.softmax(-1)
    measured: dict[str, Any] = {
        "tokens": len(ids),
        "attention_reproduced_max_abs_diff": float((weights @ v[:, group] - z[:, head]).abs().max()),
        "weight_on_first_token": float(weights[position, 0]),
    }
    names = [engine.token_text(i) for i in ids]
    pattern = _pattern(weights, names, f"layer {layer}, head {head}: who looks at whom")
    reads = _reads(engine, (layer, head), names, position, scores[position], v[:, group])
    caption = _caption(names, position, weights[position])
    yield Frame(caption, (pattern, reads), dict(measured), 0.3)

    found = head_scores(engine.model, ids)
    measured |= _types(found, layer, head)
    views = (pattern, reads, _gallery(found, p["gallery"], (layer, head)), _ranked(found))
    yield Frame(caption, views, dict(measured), 0.6)

    off = [HeadOff(layer, head), *_strongest(found, p["gallery"], p["also_off"], (layer, head))]
    without = engine.operated(off)
    measured |= _ablation(engine, without, ids) | {"heads_off": len(off)}
    text, changed = (e.write(ids, p["max_new_tokens"]) for e in (engine, without))
    measured["text_differs"] = text != changed
    label = f"without {', '.join(f'L{o.layer}H{o.head}' for o in off)}"
    diff = Diff(f"what follows, and {label}", text, changed, "all heads", f"{len(off)} off")
    caption += (
        f" With {len(off)} off: KL {measured['kl_ablated_head']:.4f} nats, P({measured['next_token']!r}) "
        f"{measured['p_next']:.2f} → {measured['p_next_ablated']:.2f}."
    )
    yield Frame(caption, (*views, diff), dict(measured))


def _strongest(found: HeadScores, kind: str, count: int, but: tuple[int, int]) -> list[HeadOff]:
    """The `count` heads with the highest score of this type, besides one."""
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


def scaled_scores(q: Tensor, k: Tensor) -> Tensor:
    """q·k/√d_head for every pair [query, key], future keys at minus infinity; written anew, to check the decoder."""
    scores = q @ k.T / math.sqrt(q.shape[-1])
    return scores.masked_fill(~causal_mask(len(q), len(k)), -torch.inf)


def _pattern(weights: Tensor, names: Sequence[str], title: str) -> Heatmap:
    start = max(0, len(names) - WINDOW)
    shown = weights[start:, start:].masked_fill(~causal_mask(len(names) - start, len(names) - start), math.nan)
    return Heatmap(
        title if start == 0 else f"{title} (the last {WINDOW} tokens)",
        Array.of(shown.numpy()),
        row_label="token",
        column_label="looks at",
        row_names=tuple(names[start:]),
        column_names=tuple(names[start:]),
        unit="weight",
        row_control="position" if start == 0 else "",
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
    title = f"what token {position}, {names[position]!r}, reads"
    return Table(title, ("", "token", "score", "weight", "length of value", "length of what it adds"), rows)


def _gallery(found: HeadScores, kind: str, place: tuple[int, int]) -> Heatmap:
    scores = found.by_type[kind]
    return Heatmap(
        f"all heads: mean weight on the {kind}"
        if kind != "induction"
        else "all heads: weight on what followed last time",
        Array.of(scores),
        row_label="layer",
        column_label="head",
        unit="weight",
        row_control="layer",
        column_control="head",
        cursor=place,
    )


def _types(found: HeadScores, layer: int, head: int) -> dict[str, Any]:
    best = np.unravel_index(found.by_type["induction"].argmax(), found.by_type["induction"].shape)
    own = [kind for kind, scores in found.by_type.items() if scores[layer, head] >= found.threshold]
    return {
        "head_types": {kind: int((scores >= found.threshold).sum()) for kind, scores in found.by_type.items()},
        "type_threshold": found.threshold,
        "this_head_is": ", ".join(own) or "none of these",
        "top_induction_head": f"L{best[0]}H{best[1]}",
        "rows_sum_to_one_max_abs_diff": found.row_sum_error,
        "causal_violation": found.future_weight,
    }


def _ranked(found: HeadScores) -> Table:
    rows = []
    for kind, scores in found.by_type.items():
        order = np.argsort(scores, axis=None)[::-1][:4]
        best = ", ".join(f"L{i // scores.shape[1]}H{i % scores.shape[1]} {scores.flat[i]:.2f}" for i in order)
        rows.append((kind, int((scores >= found.threshold).sum()), best))
    return Table(f"heads by type (mean weight at least {found.threshold})", ("type", "heads", "strongest"), tuple(rows))


def _caption(names: Sequence[str], position: int, weights: Tensor) -> str:
    best = int(weights.argmax())
    where = "itself" if best == position else f"{names[best]!r} at {best}"
    return f"Token {position}, {names[position]!r}, looks most at {where} ({float(weights[best]):.2f})."
