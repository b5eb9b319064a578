"""A layer's parts for one token: the lengths of what they make, and each operation in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm_holes.engine.frames import Bars, Table
from llm_holes.engine.interpret.layer_by_hand import Part
from llm_holes.engine.numbers import NOTHING, equality
from llm_holes.engine.spelling import spelt

ROWS = {
    "ln1.hook_normalized": "normed for attention",
    "hook_attn_out": "attention adds",
    "hook_resid_mid": "= the stream between",
    "ln2.hook_normalized": "normed for the FFN",
    "hook_mlp_out": "the FFN adds",
    "hook_resid_post": "= the stream goes out",
}


def sizes(token: str, layer: int, parts: Sequence[Part]) -> tuple[dict[str, Any], Bars]:
    made = {part.point: part.result for part in parts}
    length = {point: float(made[point].norm()) for point in ROWS}
    start = float((made["hook_resid_post"] - made["hook_mlp_out"] - made["hook_attn_out"]).norm())
    measured = {
        "shapes": {f"{n + 1} {part.name}": _shape(part) for n, part in enumerate(parts)},
        "stream_norm": start,
        "update_norm_attention": length["hook_attn_out"],
        "update_norm_ffn": length["hook_mlp_out"],
        "stream_norm_after": length["hook_resid_post"],
        "recomputed_max_abs_diff": max(part.difference for part in parts),
        "flops_per_token": sum(part.flops for part in parts),
        "bytes_read": sum(part.bytes for part in parts),
    }
    labels = ("the stream comes in", *ROWS.values())
    values = (start, *(length[point] for point in ROWS))
    return measured, Bars(f"{spelt(token)} through layer {layer}: how long each vector is", labels, values)


def table(token: str, layer: int, parts: Sequence[Part]) -> Table:
    """Each operation, computed again from the weights."""
    rows = tuple(
        (f"{n + 1} {part.name}", part.formula, _shape(part), float(part.result.norm()), _compared(part))
        for n, part in enumerate(parts)
    )
    columns = ("", "what", "numbers", "length", "beside the model's own")
    return Table(f"{spelt(token)} through layer {layer}, computed again", columns, rows)


def _compared(part: Part) -> str:
    """How well the result is the model's own; what the fused attention never writes down cannot be compared."""
    return equality(part.difference) if part.point else NOTHING


def _shape(part: Part) -> str:
    return " → ".join("×".join(map(str, shape)) for shape in (part.given, part.shape))
