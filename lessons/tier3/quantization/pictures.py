"""What the lesson draws of rounding: the rungs, the price, the times, the ladder, and what the file holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.checkpoint.gguf import q4_1_blocks
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import ModelError
from llm_holes.engine.frames import Bars, NumberLine, Table
from llm_holes.engine.measure import Timing
from llm_holes.engine.model.number_formats import BITS, Format, cast, levels, scale_of
from llm_holes.engine.model.quantize import blocks_of, quantize
from llm_holes.engine.numbers import count, figure, plural
from llm_holes.engine.surgery.number_formats import CastWeights
from llm_holes.engine.surgery.operations import QuantizedWeights, matrices
from llm_holes.lessons.tier3.quantization.comparisons import FORMATS, Moved
from llm_holes.lessons.tier3.quantization.trials import BLOCK, Rounding, Trial, kind_of, pareto

SHIPPED = "blk.0.attn_v.weight"
LOADED = "model.layers.0.self_attn.v_proj.weight"
BINS = 61
CAME = "the file itself holds 4-bit blocks"
OTHERS = "next words that come out differently"


def rungs(engine: Engine, rounding: Rounding) -> tuple[NumberLine, float]:
    """The weights that share the scale of the largest one in a small matrix, over the values that rounding leaves; and
    the share of them that rounds to zero."""
    names = matrices(engine.model, rounding.part) or [LOADED]
    name = min(names, key=lambda n: engine.model.weights[n].numel())
    short = name.removeprefix("model.").removesuffix(".weight")
    block = _block_of_largest(engine.model.weights[name], rounding)
    left, zeros = (_left(block, rounding), _zeros(block, rounding)) if rounding.part != "none" else (block[0, :0], 0.0)
    if isinstance(rounding, CastWeights):  # numbers far beyond the weights would leave these no room
        left = left[left.abs() <= block.abs().max() * 1.01]
    counts, edges = torch.histogram(block[0], BINS)
    view = NumberLine(
        f"{count(block.shape[1])} weights of {short} that share {_scale(rounding)}",
        tuple(edges.tolist()),
        tuple(counts.tolist()),
        tuple(left.tolist()),
        (("the largest weight", float(block[0, block[0].abs().argmax()])),),
        unit="weights",
    )
    return view, zeros


def _block_of_largest(w: Tensor, rounding: Rounding) -> Tensor:
    """The weights of w [out, in] that share the scale of the largest of all, [1, weights]."""
    if isinstance(rounding, CastWeights):
        return w.reshape(1, -1)
    blocks = blocks_of(w, rounding.granularity, rounding.group_size)
    return blocks[[int(blocks.abs().amax(1).argmax())]]


def _scale(rounding: Rounding) -> str:
    if rounding.part == "none":
        return "no scale: none is rounded"
    return "no scale" if isinstance(rounding, CastWeights) or kind_of(rounding) == "BF16" else "one scale"


def _left(block: Tensor, rounding: Rounding) -> Tensor:
    """The values that exist after rounding block [1, weights]; of BF16, which has thousands, those that are used."""
    if isinstance(rounding, CastWeights):
        if rounding.kind == "BF16" or isinstance(rounding.kind, int):
            values = cast(block[0] * rounding.factor, rounding.kind) / rounding.factor
            return torch.tensor(sorted(set(values.tolist())))
        return levels(rounding.kind) / rounding.factor
    if isinstance(rounding, QuantizedWeights):
        q = quantize(block, rounding.bits, "channel", symmetric=rounding.symmetric)
        top = 2 ** (rounding.bits - 1) - 1
        codes = torch.arange(-top, top + 1) if rounding.symmetric else torch.arange(2**rounding.bits)
        return (codes - q.zero_point[0]) * q.scale[0]
    if rounding.format == "BF16":
        return torch.tensor(sorted(set(block[0].bfloat16().float().tolist())))
    return levels(rounding.format) * scale_of(block, rounding.format)[0]


def _zeros(block: Tensor, rounding: Rounding) -> float:
    """The share of block [1, weights] whose nearest value left is the one next to zero."""
    if isinstance(rounding, CastWeights):
        return float((cast(block * rounding.factor, rounding.kind) == 0).float().mean())
    left = _left(block, rounding)
    nearest = torch.bucketize(block[0].contiguous(), (left[1:] + left[:-1]) / 2)
    return float((nearest == int(left.abs().argmin())).float().mean())


def quality(measured: Mapping[str, Any], name: str) -> Table:
    """What the rounding costs on the passage; with 4 bits, what the file already was."""
    rows: list[tuple[str | float, ...]] = [
        ("perplexity", measured["perplexity_intact"], measured["perplexity_quantized"]),
        ("next words that become others, %", 0.0, 100 * measured["changed_share"]),
        ("KL, nats", 0.0, measured["kl_nats"]),
        ("bytes of all weights", measured["weight_bytes_fp32"], measured["weight_bytes"]),
        ("bits per rounded weight", 32, measured["bits_per_weight"]),
        (
            "bytes of a token's keys and values",
            measured["kv_bytes_per_token"],
            measured["kv_bytes_per_token_quantized"],
        ),
        ("error of the weights, relative", 0.0, measured["weight_error_relative"]),
    ]
    title = f"on {name}"
    if measured["file_was_4_bit"]:
        title += f"; {CAME}"
    return Table(title, ("", "intact", "rounded"), tuple(rows))


def formats(found: Mapping[str, Moved], came_in_blocks: bool, as_set: tuple[str, float]) -> Bars:
    """What each format costs, a scale for each row or group; last and marked, the rounding that was chosen."""
    starred = came_in_blocks and any(_bits(FORMATS[name][0]) == 4 for name in found)
    labels = [_label(name, starred) for name in found]
    title = f"{OTHERS}{f' (*: {CAME})' if starred else ''}"
    values = (*(moved.changed_share for moved in found.values()), as_set[1])
    return Bars(title, (*labels, as_set[0]), values, marked=len(found), range=(0, 1))


def _label(name: str, starred: bool) -> str:
    kind, granularity = FORMATS[name]
    reach = "" if kind == "BF16" else ", a scale per row" if granularity == "channel" else f", one per {BLOCK}"
    return f"{name}{reach}{' *' if starred and _bits(kind) == 4 else ''}"


def _bits(kind: int | Format) -> int:
    return kind if isinstance(kind, int) else BITS[kind]


def moved(found: Mapping[str, Moved], what: str) -> Bars:
    """How many next words become others by each way of rounding."""
    values = tuple(one.changed_share for one in found.values())
    return Bars(f"{what}: {OTHERS}", tuple(found), values, range=(0, 1))


def ladder(tried: Sequence[Trial], tokens: int, came_in_blocks: bool) -> Table:
    """All ways tried, smallest first; a star marks those that no smaller or equal one betters."""
    best = pareto(tried)
    rows = tuple(
        (
            "*" if t in best else "",
            t.name,
            t.weight_bytes,
            t.bits_per_weight,
            t.kl_nats,
            CAME if came_in_blocks and t.bits == 4 else "",
        )
        for t in sorted(tried, key=lambda t: t.weight_bytes)
    )
    title = f"bytes against quality, {plural(tokens, 'token')} (*: none smaller is as good)"
    return Table(title, ("", "way of rounding", "bytes", "bits each", "KL, nats", "note"), rows)


def times(intact: Timing, rounded: Timing, kernel: str) -> Table:
    rows = (
        ("fp32", intact.fastest, intact.median, intact.slowest),
        (f"rounded, {kernel}", rounded.fastest, rounded.median, rounded.slowest),
    )
    return Table("time for one token, in turn, ms", ("", "fastest", "median", "slowest"), rows)


def shipped(gguf: str) -> Table:
    """The first blocks of a matrix as a Q4_1 file stores them: 32 weights share a scale and a minimum."""
    try:
        blocks = q4_1_blocks(gguf, SHIPPED, 4) if gguf else []
    except ModelError:  # a file of another kind
        blocks = []
    rows = tuple((figure(d), figure(m), " ".join(f"{c:x}" for c in codes)) for d, m, codes in blocks)
    if not rows:
        return Table("the file", ("",), ((f"no 4-bit blocks of {BLOCK} in this model's file",),))
    return Table(f"{SHIPPED} in the file itself", ("scale", "+ minimum", "× 32 codes, 0…f"), rows)
