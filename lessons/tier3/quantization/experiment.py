"""Rounds the model's matrices to fewer bits and measures what that costs: size, error, KL, perplexity, text, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, Frame
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.measure import Timing, kl_nats, perplexity
from llm_holes.engine.model.number_formats import Format
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.surgery.operations import PackedWeights, QuantizedKV, largest_of_channels
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier3.quantization import pictures
from llm_holes.lessons.tier3.quantization.trials import (
    LADDER,
    Rounding,
    Trial,
    bits_of,
    levels_per_block,
    packed_form,
    pareto,
    rounding_of,
    sizes,
    trials,
)

UNDO_TOKENS = 8
LADDER_TOKENS = 16
WHOLE = "whole numbers"
CLEARLY = 0.9


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    prompt = engine.chat(p["text"], p["max_new_tokens"])
    ids = passage_ids(engine, p["tokens"])
    rounding = _rounding(p)
    report, untouched = Report(), Untouched.of(engine, ids[:UNDO_TOKENS])
    cache = _cache(engine, p, ids)
    rounded = engine.operated([rounding, *cache])
    levels = levels_per_block(engine.model.weights[pictures.LOADED])
    line, zeros = pictures.rungs(engine, rounding)
    kv_bytes = engine.model.config.kv_bytes_per_token()
    report.measure(sizes(engine.model, rounded.model, rounding))
    report.measure(
        bits=bits_of(rounding),
        group_size=rounding.group_size,
        levels_per_32_weights=levels,
        file_was_4_bit=bits_of(rounding) == 4 and rounding.part != "none" and levels <= 16,
        rounded_to_zero_share=zeros,
        kv_bytes_per_token=kv_bytes,
        kv_bytes_per_token_quantized=sum(r.stored_bytes(engine.model.config) for r in cache) or kv_bytes,
    )
    report.show(rungs=line)
    share = percent(report.measured["size_ratio"])
    report.say(f"{share} of the fp32 size; reading the passage.")
    yield report.frame(0.1)

    report.measure(_quality(engine, rounded, ids))
    m = report.measured
    table = pictures.quality(m, NAME)
    report.show(rungs=line, the_price=table)
    report.say(
        f"{_name(rounding, cache)}, {share} of the size: perplexity {figure(m['perplexity_intact'])} becomes "
        f"{figure(m['perplexity_quantized'])}."
    )
    yield report.frame(0.4)

    packed = None if cache else packed_form(rounding)
    writer = rounded if packed is None else engine.operated([packed])
    answers, intact, quick = _both(engine, writer, prompt, p["max_new_tokens"])
    report.measure(_times(intact, quick, packed), undo_bit_identical=untouched.holds(), pareto_front=[])
    report.show(
        rungs=line,
        two_answers=answers,
        the_price=table,
        time_per_token=pictures.times(intact, quick, m["quantized_kernel"]),
        the_file=pictures.shipped(engine.files.gguf),
    )
    if p["ladder"]:
        views, tried = report.views, list[Trial]()
        for trial in trials(engine.model, ids[:LADDER_TOKENS], p["part"], rounding.group_size):
            tried.append(trial)
            report.show(*views)
            report.show_also(the_whole_ladder=pictures.ladder(tried, LADDER_TOKENS, levels <= 16))
            yield report.frame(0.7 + 0.3 * len(tried) / len(LADDER))
        report.measure(pareto_front=[trial.name for trial in pareto(tried)])
    yield report.frame()


def _rounding(p: Mapping[str, Any]) -> Rounding:
    kind = p["bits"] if p["format"] == WHOLE else cast(Format, p["format"])
    return rounding_of(kind, p["granularity"], int(p["group_size"]), p["scheme"] == "symmetric", p["part"])


def _cache(engine: Engine, p: Mapping[str, Any], ids: Sequence[int]) -> list[QuantizedKV]:
    """How keys and values are rounded, if they are; scales per channel are measured on the passage beforehand."""
    if p["kv_bits"] == "off":
        return []
    largest = largest_of_channels(engine.model, ids, p["kv_what"]) if p["kv_scale"] == "channel" else None
    return [QuantizedKV(int(p["kv_bits"]), p["kv_what"], largest)]


def _name(rounding: Rounding, cache: Sequence[QuantizedKV]) -> str:
    """What was rounded, for the caption."""
    weights = "no weight rounded" if rounding.part == "none" else plural(bits_of(rounding), "bit")
    return weights + "".join(f", {'cache' if r.what == 'both' else r.what} {plural(r.bits, 'bit')}" for r in cache)


def _quality(engine: Engine, rounded: Engine, ids: Sequence[int]) -> dict[str, Any]:
    intact, changed, targets = engine.logits(ids), rounded.logits(ids), torch.tensor(ids)
    before, after = perplexity(intact, targets), perplexity(changed, targets)
    return {
        "passage_tokens": len(ids),
        "kl_nats": kl_nats(intact, changed),
        "other_word_share": float((intact.argmax(-1) != changed.argmax(-1)).float().mean()),
        "perplexity_intact": before,
        "perplexity_quantized": after,
        "perplexity_ratio": after / before,
    }


def _both(engine: Engine, writer: Engine, prompt: Sequence[int], new_tokens: int) -> tuple[Diff, Timing, Timing]:
    """Both answers and the times of their tokens, written in turn, so that whatever else is going on hits both."""
    params, limits = SamplingParams(logit_bias=_no_end(engine)), Limits(new_tokens)
    pairs = list(zip(engine.generate(prompt, params, limits), writer.generate(prompt, params, limits), strict=True))
    intact, rounded = ([pair[i] for pair in pairs] for i in (0, 1))
    answers = Diff("the answer (the end is forbidden)", _text(intact), _text(rounded), "intact", "rounded")
    return answers, _timing(intact), _timing(rounded)


def _text(steps: Sequence[Step]) -> str:
    return "".join(step.text for step in steps)


def _timing(steps: Sequence[Step]) -> Timing:
    """Of all tokens but the first, whose step reads the prompt."""
    return Timing.of([step.ms for step in steps[1:]])


def _no_end(engine: Engine) -> dict[int, float]:
    """Both models write the same number of tokens, so that their times compare."""
    return dict.fromkeys(engine.tokenizer.eos_ids, float("-inf"))


def _times(intact: Timing, rounded: Timing, packed: PackedWeights | None) -> dict[str, Any]:
    """The fastest of each, and whether one is clearly faster: its median by a tenth than the other's fastest."""
    apart = rounded.median < CLEARLY * intact.fastest or intact.median < CLEARLY * rounded.fastest
    return {
        "decode_ms_intact": intact.fastest,
        "decode_ms_quantized": rounded.fastest,
        "times_apart": apart,
        "quantized_kernel": "no kernel, fp32" if packed is None else f"int{packed.bits}",
    }
