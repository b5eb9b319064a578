"""Rounds the model's numbers to fewer bits and measures what that costs: size, error, KL, perplexity, text, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.engine.measure import changed_share, kl_nats, perplexity
from llm_holes.engine.model.number_formats import Format
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.surgery.operations import QuantizedKV, largest_of_channels
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier3.quantization import bit_fields, pictures, stream
from llm_holes.lessons.tier3.quantization.comparisons import Moved
from llm_holes.lessons.tier3.quantization.side_by_side import NOT_COMPARED, side_by_side
from llm_holes.lessons.tier3.quantization.trials import (
    Rounding,
    bits_of,
    levels_per_block,
    packed_form,
    rounding_of,
    sizes,
)
from llm_holes.lessons.tier3.quantization.two_answers import both, times

UNDO_TOKENS = 8
WHOLE = "whole numbers"
FACTORS = {"1": 1.0, "1/10": 0.1, "1/100": 0.01, "1/1000": 0.001}


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    prompt = engine.chat(p["text"], p["max_new_tokens"])
    number, factor = bit_fields.typed_number(p["number"]), FACTORS[p["factor"]]
    ids = passage_ids(engine, p["tokens"])
    rounding = _rounding(p)
    report, untouched = Report(), Untouched.of(engine, ids[:UNDO_TOKENS])
    cache = _cache(engine, p, ids)
    rounded = engine.operated([rounding, *cache])
    line, zeros = pictures.rungs(engine, rounding)
    fields = bit_fields.fields(number, factor)
    report.measure(_stored(engine, rounded, rounding, cache), rounded_to_zero_share=zeros)
    report.measure(_in_formats(number * factor, factor))
    report.show(rungs=line, the_bits=fields)
    report.say(f"{percent(report.measured['size_ratio'])} of the fp32 size; reading the passage.")
    yield report.frame(0.1)

    intact = stream.read(engine, ids)
    report.measure(_quality(intact.logits, rounded.logits(ids), ids) | _flowing(engine, intact, ids))
    table, heights = pictures.quality(report.measured, NAME), stream.heights(intact, len(ids))
    report.show(rungs=line, the_bits=fields, the_stream=heights, the_price=table)
    report.say(_caption(rounding, cache, report.measured))
    yield report.frame(0.4)

    packed = None if cache or engine.info.device != "cpu" else packed_form(rounding)
    writer = rounded if packed is None else engine.operated([packed])
    written = both(engine, writer, prompt, p["max_new_tokens"])
    report.measure(times(written, packed), undo_bit_identical=untouched.holds(), **NOT_COMPARED)
    m = report.measured
    read = m["weight_bytes"] if packed is not None else m["weight_bytes_fp32"]
    ms, flops = m["decode_ms_quantized"], 2 * engine.info.parameters
    report.cost = cost(engine, "one token, rounded", ms, read, flops, view="time per token")
    report.show(
        rungs=line,
        two_answers=written.texts,
        the_bits=fields,
        the_stream=heights,
        the_price=table,
        time_per_token=pictures.times(written.intact, written.rounded, m["quantized_kernel"]),
        the_file=pictures.shipped(engine.files.gguf),
    )
    still = report.views
    for view, found in side_by_side(engine, p, ids, intact.logits, m):
        report.measure(found)
        report.show(*still, view)
        yield report.frame(0.7)
    yield report.frame()


def _rounding(p: Mapping[str, Any]) -> Rounding:
    kind = p["bits"] if p["format"] == WHOLE else cast(Format, p["format"])
    symmetric, factor = p["scheme"] == "symmetric", FACTORS[p["factor"]]
    return rounding_of(kind, p["granularity"], int(p["group_size"]), symmetric, p["part"], factor)


def _cache(engine: Engine, p: Mapping[str, Any], ids: Sequence[int]) -> list[QuantizedKV]:
    """How keys and values are rounded, if they are; scales per channel are measured on the passage beforehand."""
    if p["kv_bits"] == "off":
        return []
    largest = largest_of_channels(engine.model, ids, p["kv_what"]) if p["kv_scale"] == "channel" else None
    return [QuantizedKV(int(p["kv_bits"]), p["kv_what"], largest)]


def _stored(engine: Engine, rounded: Engine, rounding: Rounding, cache: Sequence[QuantizedKV]) -> dict[str, Any]:
    """What the numbers weigh now, and what the file did to them before."""
    levels, kv_bytes = levels_per_block(engine.model.weights[pictures.LOADED]), engine.model.config.kv_bytes_per_token()
    return sizes(engine.model, rounded.model, rounding) | {
        "bits": bits_of(rounding),
        "group_size": getattr(rounding, "group_size", 0),
        "levels_per_32_weights": levels,
        "file_came_in_4_bits": levels <= 16,
        "file_was_4_bit": bits_of(rounding) == 4 and rounding.part != "none" and levels <= 16,
        "kv_bytes_per_token": kv_bytes,
        "kv_bytes_per_token_quantized": sum(r.stored_bytes(engine.model.config) for r in cache) or kv_bytes,
    }


def _in_formats(x: float, factor: float) -> dict[str, float]:
    names = {"number_in_e4m3": "FP8 E4M3", "number_in_e5m2": "FP8 E5M2", "number_in_fp4": "FP4"}
    return {key: bit_fields.held(x, name).value / factor for key, name in names.items()}


def _quality(intact: torch.Tensor, changed: torch.Tensor, ids: Sequence[int]) -> dict[str, Any]:
    targets = torch.tensor(ids)
    before, after = perplexity(intact, targets), perplexity(changed, targets)
    return {
        "passage_tokens": len(ids),
        "kl_nats": kl_nats(intact, changed),
        "changed_share": changed_share(intact, changed),
        "other_word_share": float((intact.argmax(-1) != changed.argmax(-1)).float().mean()),
        "perplexity_intact": before,
        "perplexity_quantized": after,
        "perplexity_ratio": after / before,
    }


def _flowing(engine: Engine, intact: stream.Read, ids: Sequence[int]) -> dict[str, float]:
    """The largest number of the stream, and what FP8 without a scale makes of it."""
    moved = Moved.of(intact.logits, engine.operated([stream.UNSCALED]).logits(ids))
    return {
        "activation_max": max(intact.largest),
        "activation_typical": max(intact.typical),
        "kl_activations_unscaled": moved.kl_nats,
        "changed_share_unscaled": moved.changed_share,
    }


def _caption(rounding: Rounding, cache: Sequence[QuantizedKV], m: Mapping[str, Any]) -> str:
    weights = "no weight rounded" if rounding.part == "none" else plural(bits_of(rounding), "bit")
    stored = "".join(f", {'cache' if r.what == 'both' else r.what} {plural(r.bits, 'bit')}" for r in cache)
    return (
        f"{weights}{stored}, {percent(m['size_ratio'])} of the size: perplexity {figure(m['perplexity_intact'])} "
        f"becomes {figure(m['perplexity_quantized'])}."
    )
