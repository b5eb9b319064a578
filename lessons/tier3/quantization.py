"""Rounds the model's matrices to fewer bits and measures what that costs: size, error, KL, perplexity, text, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Diff, Frame, Table, View
from llm_holes.engine.generate import Limits
from llm_holes.engine.gguf import q4_1_blocks
from llm_holes.engine.measure import Timing, fingerprint, kl_nats, perplexity
from llm_holes.engine.quantize import Quantized, quantize
from llm_holes.engine.sampling import SamplingParams
from llm_holes.engine.surgery import Operation, PackedWeights, QuantizedKV, QuantizedWeights, matrices
from llm_holes.lessons.passage import NAME, passage

SHIPPED = "blk.0.attn_q.weight"
HISTOGRAM_BARS = 16


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    prompt = engine.chat(p["text"], p["max_new_tokens"])
    ids = engine.tokenizer.encode(passage())[: engine.model.config.context]
    group_size = int(p["group_size"])
    rounding = QuantizedWeights(p["bits"], p["granularity"], group_size, p["scheme"] == "symmetric", p["part"])
    cache_rounding = [] if p["kv_bits"] == "off" else [QuantizedKV(int(p["kv_bits"]))]
    surgery: list[Operation] = [rounding, *cache_rounding]
    hashed, answer_logits = fingerprint(engine.model.weights), engine.logits(prompt)
    rounded = engine.operated(surgery)
    measured: dict[str, Any] = {"bits": p["bits"], "group_size": group_size, **sizes(engine, rounded, rounding)}
    levels = _levels(engine, rounding)
    yield Frame(f"{measured['size_ratio']:.0%} of the fp32 size; reading the passage.", (levels,), dict(measured), 0.1)

    intact, changed, targets = engine.logits(ids), rounded.logits(ids), torch.tensor(ids)
    measured |= {
        "passage_tokens": len(ids),
        "kl_nats": kl_nats(intact, changed),
        "perplexity_intact": perplexity(intact, targets),
        "perplexity_quantized": perplexity(changed, targets),
    }
    caption = (
        f"{p['bits']} bits, {measured['size_ratio']:.0%} of the size: perplexity {measured['perplexity_intact']:.2f} "
        f"becomes {measured['perplexity_quantized']:,.2f}, KL {measured['kl_nats']:.3f} nats."
    )
    quality = Table(f"on {NAME}", ("", "intact", "rounded"), _quality(measured))
    yield Frame(caption, (quality, levels), dict(measured), 0.4)

    text, intact_ms = _write(engine, prompt, p["max_new_tokens"])
    rounded_text, rounded_ms = _write(rounded, prompt, p["max_new_tokens"])
    answers = Diff(
        "the answer (the end forbidden, so that both are as long)", text, rounded_text, "intact", f"{p['bits']} bits"
    )
    yield Frame(caption, (answers, quality, levels), dict(measured), 0.6)

    packed = None if cache_rounding else packed_form(rounding)
    if packed is not None:
        _, rounded_ms = _write(engine.operated([packed]), prompt, p["max_new_tokens"])
    measured |= {
        "decode_ms_intact": intact_ms.median,
        "decode_ms_quantized": rounded_ms.median,
        "quantized_kernel": f"int{p['bits']}" if packed is not None else "none: rounded values in fp32",
    }
    same_weights = fingerprint(engine.model.weights) == hashed
    measured["undo_bit_identical"] = same_weights and torch.equal(engine.logits(prompt), answer_logits)
    views: list[View] = [answers, quality, levels, _times(intact_ms, rounded_ms, measured["quantized_kernel"])]
    if engine.files.gguf:
        views.append(_shipped(engine.files.gguf))
    yield Frame(caption, tuple(views), dict(measured))


def sizes(engine: Engine, rounded: Engine, rounding: QuantizedWeights) -> dict[str, float]:
    """Bytes of all weights with the rounded matrices stored as codes, against fp32, and the error of the rounding."""
    names = matrices(engine.model, rounding.part)
    squares = sum(float((engine.model.weights[n] - rounded.model.weights[n]).square().sum()) for n in names)
    total = sum(float(engine.model.weights[n].square().sum()) for n in names)
    count = sum(engine.model.weights[n].numel() for n in names)
    all_bytes = sum(w.nbytes for w in engine.model.weights.values())
    stored = all_bytes - 4 * count + sum(rounding.stored_bytes(engine.model.weights[n].shape) for n in names)
    return {
        "weight_bytes": stored,
        "weight_bytes_fp32": all_bytes,
        "size_ratio": stored / all_bytes,
        "bits_per_weight": 8 * (stored - (all_bytes - 4 * count)) / count,
        "weight_rmse": (squares / count) ** 0.5,
        "weight_error_relative": (squares / total) ** 0.5,
    }


def packed_form(rounding: QuantizedWeights) -> PackedWeights | None:
    """The same rounding for a kernel that reads only the codes, where there is one."""
    if rounding.bits == 8 and rounding.granularity == "channel" and rounding.symmetric:
        return PackedWeights(8, rounding.part)
    if rounding.bits == 4 and rounding.granularity == "group" and rounding.group_size == 32 and not rounding.symmetric:
        return PackedWeights(4, rounding.part)
    return None


def _write(engine: Engine, prompt: Sequence[int], new_tokens: int) -> tuple[str, Timing]:
    steps = list(engine.generate(prompt, SamplingParams(logit_bias=_no_end(engine)), Limits(new_tokens)))
    return "".join(step.text for step in steps), Timing.of([step.ms for step in steps[1:]])


def _no_end(engine: Engine) -> dict[int, float]:
    """Both models write the same number of tokens, so that their times compare."""
    return dict.fromkeys(engine.tokenizer.eos_ids, float("-inf"))


def _quality(measured: Mapping[str, Any]) -> tuple[tuple[str | float, ...], ...]:
    return (
        ("perplexity", measured["perplexity_intact"], measured["perplexity_quantized"]),
        ("KL, nats", 0.0, measured["kl_nats"]),
        ("bytes of all weights", measured["weight_bytes_fp32"], measured["weight_bytes"]),
        ("bits per rounded weight, scales included", 32, measured["bits_per_weight"]),
        ("error of the weights, relative", 0.0, measured["weight_error_relative"]),
    )


def _levels(engine: Engine, rounding: QuantizedWeights) -> Bars:
    """How often each level is used in one of the smallest rounded matrices; above 16 levels, neighbours share a bar."""
    name = min(matrices(engine.model, rounding.part), key=lambda n: engine.model.weights[n].numel())
    q: Quantized = quantize(
        engine.model.weights[name], rounding.bits, rounding.granularity, rounding.group_size, rounding.symmetric
    )
    low, high = int(q.codes.min()), int(q.codes.max())
    width = max(1, -(-(high - low + 1) // HISTOGRAM_BARS))
    counts = torch.bincount(((q.codes - low) // width).long().flatten())
    share = (counts / counts.sum()).tolist()
    labels = tuple(str(low + i * width) + ("" if width == 1 else "…") for i in range(len(share)))
    return Bars(f"how often each level is used in {name}", labels, tuple(share))


def _times(intact: Timing, rounded: Timing, kernel: str) -> Table:
    rows = (
        ("fp32", intact.median, intact.fastest, intact.slowest),
        (f"rounded ({kernel})", rounded.median, rounded.fastest, rounded.slowest),
    )
    return Table("time for one token, ms", ("", "median", "fastest", "slowest"), rows)


def _shipped(gguf: str) -> Table:
    """The first blocks of a matrix as the downloaded file stores them: 32 weights share a scale and a minimum."""
    blocks = q4_1_blocks(gguf, SHIPPED, 4)
    rows = tuple((f"{d:.5f}", f"{m:.5f}", " ".join(f"{c:x}" for c in codes)) for d, m, codes in blocks)
    return Table(
        f"{SHIPPED} in the file itself (weight = scale × code + minimum)", ("scale", "minimum", "32 codes"), rows
    )
