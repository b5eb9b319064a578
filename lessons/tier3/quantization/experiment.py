"""Rounds the model's matrices to fewer bits and measures what that costs: size, error, KL, perplexity, text, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.checkpoint.gguf import q4_1_blocks
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import ModelError
from llm_holes.engine.frames import Bars, Diff, Frame, Table
from llm_holes.engine.generation.generate import Limits
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.measure import Timing, kl_nats, perplexity
from llm_holes.engine.model.quantize import Quantized, quantize
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.surgery.operations import PackedWeights, QuantizedKV, QuantizedWeights, matrices
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier3.quantization.trials import (
    LADDER,
    Trial,
    levels_per_block,
    packed_form,
    pareto,
    sizes,
    trials,
)

SHIPPED = "blk.0.attn_v.weight"
LOADED = "model.layers.0.self_attn.v_proj.weight"
HISTOGRAM_BARS = 16
UNDO_TOKENS = 8
LADDER_TOKENS = 16


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    prompt = engine.chat(p["text"], p["max_new_tokens"])
    ids = passage_ids(engine, p["tokens"])
    rounding = QuantizedWeights(
        p["bits"], p["granularity"], int(p["group_size"]), p["scheme"] == "symmetric", p["part"]
    )
    kv_rounding = [] if p["kv_bits"] == "off" else [QuantizedKV(int(p["kv_bits"]))]
    report, untouched = Report(), Untouched.of(engine, ids[:UNDO_TOKENS])
    rounded = engine.operated([rounding, *kv_rounding])
    report.measure(bits=p["bits"], group_size=rounding.group_size)
    report.measure(sizes(engine.model, rounded.model, rounding))
    kv_bytes = engine.model.config.kv_bytes_per_token()
    rounded_kv_bytes = sum(r.stored_bytes(engine.model.config) for r in kv_rounding) or kv_bytes
    report.measure(kv_bytes_per_token=kv_bytes, kv_bytes_per_token_quantized=rounded_kv_bytes)
    levels, share = _levels(engine, rounding), percent(report.measured["size_ratio"])
    report.show(levels)
    report.say(f"{share} of the fp32 size; reading the passage.")
    yield report.frame(0.1)

    found = _quality(engine, rounded, ids)
    report.measure(found)
    quality = Table(f"on {NAME}", ("", "intact", "rounded"), _rows(report.measured))
    report.show(quality, levels)
    report.say(
        f"{plural(p['bits'], 'bit')}, {share} of the size: perplexity {figure(found['perplexity_intact'])} "
        f"becomes {figure(found['perplexity_quantized'])}, KL {figure(found['kl_nats'])} nats."
    )
    yield report.frame(0.4)

    packed = None if kv_rounding else packed_form(rounding)
    answers, times, decoding = _decode(engine, rounded, packed, prompt, p["max_new_tokens"])
    report.measure(
        decoding,
        undo_bit_identical=untouched.holds(),
        levels_per_32_weights=levels_per_block(engine.model.weights[LOADED]),
        pareto_front=[],
    )
    report.show(answers, quality, levels, times, *_shipped(engine.files.gguf))
    if p["ladder"]:
        views, tried = report.views, list[Trial]()
        for trial in trials(engine.model, ids[:LADDER_TOKENS], p["part"], rounding.group_size):
            tried.append(trial)
            report.show(_ladder(tried), *views)
            yield report.frame(0.7 + 0.3 * len(tried) / len(LADDER))
        report.measure(pareto_front=[trial.name for trial in pareto(tried)])
    yield report.frame()


def _quality(engine: Engine, rounded: Engine, ids: Sequence[int]) -> dict[str, Any]:
    intact, changed, targets = engine.logits(ids), rounded.logits(ids), torch.tensor(ids)
    before, after = perplexity(intact, targets), perplexity(changed, targets)
    return {
        "passage_tokens": len(ids),
        "kl_nats": kl_nats(intact, changed),
        "perplexity_intact": before,
        "perplexity_quantized": after,
        "perplexity_ratio": after / before,
    }


def _decode(
    engine: Engine, rounded: Engine, packed: PackedWeights | None, prompt: Sequence[int], new_tokens: int
) -> tuple[Diff, Table, dict[str, Any]]:
    """Both answers and their times, by the kernel that reads the codes where there is one."""
    kernel = "no kernel, fp32" if packed is None else f"int{packed.bits}"
    text, intact_ms = _write(engine, prompt, new_tokens)
    rounded_text, rounded_ms = _write(rounded if packed is None else engine.operated([packed]), prompt, new_tokens)
    answers = Diff("the answer (the end is forbidden)", text, rounded_text, "intact", "rounded")
    return (
        answers,
        _times(intact_ms, rounded_ms, kernel),
        {
            "decode_ms_intact": intact_ms.median,
            "decode_ms_quantized": rounded_ms.median,
            "quantized_kernel": kernel,
        },
    )


def _write(engine: Engine, prompt: Sequence[int], new_tokens: int) -> tuple[str, Timing]:
    steps = list(engine.generate(prompt, SamplingParams(logit_bias=_no_end(engine)), Limits(new_tokens)))
    return "".join(step.text for step in steps), Timing.of([step.ms for step in steps[1:]])


def _no_end(engine: Engine) -> dict[int, float]:
    """Both models write the same number of tokens, so that their times compare."""
    return dict.fromkeys(engine.tokenizer.eos_ids, float("-inf"))


def _rows(measured: Mapping[str, Any]) -> tuple[tuple[str | float, ...], ...]:
    return (
        ("perplexity", measured["perplexity_intact"], measured["perplexity_quantized"]),
        ("KL, nats", 0.0, measured["kl_nats"]),
        ("bytes of all weights", measured["weight_bytes_fp32"], measured["weight_bytes"]),
        ("bits per rounded weight", 32, measured["bits_per_weight"]),
        (
            "bytes of a token's keys and values",
            measured["kv_bytes_per_token"],
            measured["kv_bytes_per_token_quantized"],
        ),
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
    return Bars(f"how often each level is used in {name}", labels, tuple(share), "share")


def _ladder(tried: Sequence[Trial]) -> Table:
    """All ways tried, smallest first; a star marks those that no smaller or equal one betters."""
    best = pareto(tried)
    rows = tuple(
        ("*" if t in best else "", t.name, t.weight_bytes, t.bits_per_weight, t.kl_nats)
        for t in sorted(tried, key=lambda t: t.weight_bytes)
    )
    title = f"bytes against quality, {plural(LADDER_TOKENS, 'token')} (*: none smaller is as good)"
    return Table(title, ("", "way of rounding", "bytes", "bits each", "KL, nats"), rows)


def _times(intact: Timing, rounded: Timing, kernel: str) -> Table:
    rows = (
        ("fp32", intact.median, intact.fastest, intact.slowest),
        (f"rounded, {kernel}", rounded.median, rounded.fastest, rounded.slowest),
    )
    return Table("time for one token, ms", ("", "median", "fastest", "slowest"), rows)


def _shipped(gguf: str) -> list[Table]:
    """The first blocks of a matrix as a Q4_1 file stores them: 32 weights share a scale and a minimum."""
    try:
        blocks = q4_1_blocks(gguf, SHIPPED, 4) if gguf else []
    except ModelError:  # a file of another kind
        return []
    rows = tuple((figure(d), figure(m), " ".join(f"{c:x}" for c in codes)) for d, m, codes in blocks)
    title = f"{SHIPPED} in the file itself"
    return [Table(title, ("scale", "+ minimum", "× 32 codes, 0…f"), rows)] if rows else []
