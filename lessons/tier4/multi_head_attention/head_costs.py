"""What many heads cost against one, and softmax in tiles against all scores at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Heatmap, Table
from llm_holes.engine.interpret.attention_flops import FP32_BYTES, AttentionCost, cost_of, counted
from llm_holes.engine.interpret.flash_attention import tiled_attention
from llm_holes.engine.numbers import large, plural, size


def costs(engine: Engine, normed: Tensor, layer: int, tokens: int, heads: int) -> dict[str, Any]:
    """One layer over `tokens`: as it is here, with `heads` ungrouped heads, and with one; and counted on the text."""
    here, width = cost_of(engine.model, tokens), engine.model.config.n_heads * engine.model.config.d_head
    heads = max(n for n in range(1, min(heads or here.n_heads, width) + 1) if width % n == 0)
    many, one = (AttentionCost(tokens, here.d_model, n, width // n, width) for n in (heads, 1))
    flops, scores = counted(engine.model, layer, normed)
    return {
        "heads_compared": heads,
        "flops_multi": many.flops,
        "flops_single": one.flops,
        "flops_here": here.flops,
        "projections_share": here.projections / here.flops,
        "score_bytes": many.score_bytes,
        "score_bytes_single": one.score_bytes,
        "flops_counted_to_formula": flops / cost_of(engine.model, len(normed)).flops,
        "score_bytes_counted_to_formula": scores / cost_of(engine.model, len(normed)).score_bytes,
    }


def in_tiles(q: Tensor, k: Tensor, v: Tensor, z: Tensor, group: int, tile: int) -> dict[str, Any]:
    """The layer's own attention again, in tiles, against what the model computed; q, k, v, z [pos, head, d_head]."""
    k, v = (x.repeat_interleave(group, dim=1).transpose(0, 1) for x in (k, v))
    tiled = tiled_attention(q.transpose(0, 1), k, v, tile).transpose(0, 1)
    tokens, heads = q.shape[:2]
    return {
        "tiled_equals_plain_max_abs_diff": float((tiled - z).abs().max()),
        "tokens": tokens,
        "tile_bytes": heads * min(tile, tokens) ** 2 * FP32_BYTES,
        "plain_bytes": heads * tokens**2 * FP32_BYTES,
    }


def cost_table(m: Mapping[str, Any], tokens: int) -> Table:
    """One wide head first, which is not compared with itself."""
    many = (f"{plural(m['heads_compared'], 'head')}, each with its own keys", m["flops_multi"], m["score_bytes"])
    rows = (
        ("1 head as wide as all", m["flops_single"], m["score_bytes_single"]),
        *([many] if m["heads_compared"] > 1 else []),
        (
            f"this model: {plural(m['heads'], 'head')}, shared keys",
            m["flops_here"],
            m["heads"] * m["score_bytes_single"],
        ),
    )
    return Table(
        f"attention of one layer over {plural(tokens, 'token')}, by formula",
        ("", "operations", "scores"),
        tuple((what, large(flops), size(nbytes)) for what, flops, nbytes in rows),
    )


def tile_map(names: Sequence[str], tile: int) -> Heatmap:
    """The pairs of a text in the order in which the tiled attention comes to their tile, from 1 on; what comes later
    than the token is not there, and tiles with nothing else are never computed."""
    place = np.arange(len(names))
    row, column = place[:, None] // tile, place // tile
    turn = (row * (row + 1) // 2 + column + 1).astype(np.float32)
    return Heatmap(
        f"the order of tiles, {tile} × {tile} scores at a time",
        Array.of(np.where(place <= place[:, None], turn, np.nan)),
        row_label="token",
        column_label="looks at",
        row_names=tuple(names),
        column_names=tuple(names),
        unit="turn",
    )


def tile_table(m: Mapping[str, Any], tile: int) -> Table:
    rows = (
        ("all scores at once", size(m["plain_bytes"])),
        (f"{tile} × {tile} at a time, running softmax", size(m["tile_bytes"])),
    )
    return Table(f"scores in memory at once, over {plural(m['tokens'], 'token')}", ("", "memory"), rows)
