"""A layer's parts for one token, as a table of operations and as bars of lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from llm_holes.engine.frames import Bars, Table
from llm_holes.engine.interpret.layer_by_hand import Part
from llm_holes.engine.spelling import spelt


def sizes(token: str, layer: int, parts: Sequence[Part]) -> tuple[dict[str, Any], Bars]:
    length = {part.point: float(part.result.norm()) for part in parts}
    start = float((parts[-1].result - _named(parts, "FFN update") - _named(parts, "attention update")).norm())
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
    points = ("hook_attn_out", "hook_resid_mid", "hook_mlp_out", "hook_resid_post")
    labels = ("the stream comes in", "+ attention", "= the stream", "+ FFN", "= the stream")
    lengths = (start, *(length[point] for point in points))
    return measured, Bars(f"lengths: {spelt(token)} in layer {layer}", labels, lengths)


def _named(parts: Sequence[Part], name: str) -> Tensor:
    return next(part.result for part in parts if part.name == name)


def _shape(part: Part) -> str:
    return " → ".join("×".join(map(str, shape)) for shape in (part.given, part.shape))


def table(token: str, layer: int, parts: Sequence[Part]) -> Table:
    rows = tuple(
        (
            f"{n + 1} {part.name}",
            part.formula,
            _shape(part),
            float(part.result.norm()),
            part.flops / 1e3,
            part.bytes / 1e3,
        )
        for n, part in enumerate(parts)
    )
    return Table(f"{spelt(token)} through layer {layer}", ("", "what", "numbers", "length", "kFLOP", "kB read"), rows)
