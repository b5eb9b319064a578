"""An attention head's scores: the query of the last token times every key, made again from what the model made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Arrow, Dots, Plane, Table
from llm_holes.engine.model.decoder import capped, inverse_frequencies, scaled
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import count, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.from_the_side import from_the_side
from llm_holes.lessons.shared.words import best, labels

WINDOW = 512
SHOWN = 8
NAMED = 4


def turned(x: Tensor, frequency: Tensor, start: int = 0) -> Tensor:
    """RoPE of x [pos, d_head], written anew with complex numbers: pair i at position m turns by m · frequency[i]; what
    is behind the pairs stays."""
    dims = 2 * len(frequency)
    left, right = x[:, :dims].double().chunk(2, dim=-1)
    angle = torch.arange(start, start + len(x)).double()[:, None] * frequency.double()
    pairs = torch.complex(left, right) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((pairs.real, pairs.imag, x[:, dims:].double()), dim=-1)


def query_and_keys(engine: Engine, ids: Sequence[int], layer: int, head: int) -> tuple[dict[str, Any], Plane, Table]:
    """The last token's query with every key, from q and k before RoPE, beside the score the model computed."""
    config = engine.model.config
    ids = ids[-min(WINDOW, config.windows[layer] or WINDOW) :]
    points = ("attn.hook_q", "attn.hook_k", "attn.hook_attn_scores")
    acts = engine.model.forward(torch.tensor([ids]), taps=[tap(layer, x) for x in points], logits_to_keep=1).acts
    q, k, theirs = (torch.as_tensor(acts[tap(layer, x)][0]) for x in points)
    query, keys = q[-1:, head], k[:, head // config.kv_group]
    plain = (keys.double() @ query[0].double()).tolist()
    frequency = scaled(config.ropes[layer], inverse_frequencies(config.ropes[layer]))
    keys, query = turned(keys, frequency), turned(query, frequency, len(ids) - 1)[0]
    dots = keys @ query
    ours, model = capped(dots / math.sqrt(config.d_head), config.attn_softcap), theirs[head, -1].double()
    shown = best(ours, SHOWN)
    names = labels(engine, ids)
    rows = tuple((i, names[i], plain[i], float(dots[i]), float(ours[i]), float(model[i])) for i in shown)
    top = shown[0]
    measured = {
        "attention_score_reproduced_max_abs_diff": float((ours - model).abs().max()),
        "attention_score": float(ours[top]),
        "attention_looks_at": names[top],
        "attention_cosine": float(dots[top] / (query.norm() * keys[top].norm()).clamp_min(1e-12)),
    }
    title = f"layer {layer}, head {head}: the query of {spelt(names[-1])} with each of {plural(len(ids), 'key')}"
    columns = ("", "key of", "q·k", "turned by place", f"divided by √{config.d_head}", "the model's score")
    return measured, _beside(title, names, query, keys, shown), Table(title, columns, rows)


def _beside(title: str, names: Sequence[str], query: Tensor, keys: Tensor, shown: Sequence[int]) -> Plane:
    """The query's direction along the axis, as long as the longest key; the best keys as arrows, all others as dots."""
    along, away = (part.tolist() for part in from_the_side(keys, query))
    named = shown[:NAMED]
    reach = float(keys.norm(dim=-1).max())
    arrows = [Arrow("the query's way", reach, 0.0)]
    arrows += [Arrow(f"key of {spelt(names[i])}", along[i], away[i]) for i in named]
    rest = [i for i in range(len(keys)) if i not in named]
    others = Dots(f"other keys: {count(len(rest))}", tuple(along[i] for i in rest), tuple(away[i] for i in rest))
    return Plane(title, tuple(arrows), dots=(others,))
