"""Generates the same tokens twice, step by step: with the cache, and by recomputing the whole text.

If a cache that keeps less is chosen, it reads them as well. Then one word is changed, and a second message is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import Any

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import CacheGrid, Frame, Timeline
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.kvcache.quantized import QuantizedCache
from llm_holes.engine.kvcache.window import WindowCache
from llm_holes.engine.measure import Timing, kl_nats, timed
from llm_holes.engine.model.cache import ContiguousCache, KVCache
from llm_holes.engine.model.config import Config
from llm_holes.engine.numbers import duration, percent, plural
from llm_holes.lessons.shared.counts import flops, weight_bytes
from llm_holes.lessons.shared.in_turn import clearly_slower
from llm_holes.lessons.shared.passage import after_passage, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier2.kv_cache.edits import edit_grid, edited
from llm_holes.lessons.tier2.kv_cache.grids import again_or_kept, filling
from llm_holes.lessons.tier2.kv_cache.growth import shorter_contexts, time_curve
from llm_holes.lessons.tier2.kv_cache.second_turn import second_turn, turn_timeline
from llm_holes.lessons.tier2.kv_cache.sizes import FP32_BYTES, real_models, what_it_takes

NOTICED_NATS = 0.05
"""How far predictions may move before a reader notices."""


@dataclass
class CacheTrace:
    """What both ways gave so far: one entry per generated token after the `prompt`."""

    prompt: list[int]
    new_tokens: int
    cache: ContiguousCache
    smaller: KVCache | None
    tokens: list[int] = field(default_factory=list)
    contexts: list[float] = field(default_factory=list)
    cached_ms: list[float] = field(default_factory=list)
    recomputed_ms: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    smaller_kl: list[float] = field(default_factory=list)
    agreed: bool = True
    smaller_agreed: bool = True
    report: Report = field(default_factory=Report)

    @property
    def speedup(self) -> float:
        return Timing.of(self.recomputed_ms).median / Timing.of(self.cached_ms).median


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    new_tokens: int = p["max_new_tokens"]
    passage = passage_ids(engine, p["context_tokens"])
    ids = engine.fits(after_passage(engine, passage, engine.chat(p["text"])), new_tokens + 1)
    config = engine.model.config
    trace = CacheTrace(ids, new_tokens, ContiguousCache(config, len(ids) + new_tokens), _smaller(config, p))
    first = int(last_logits(engine.model, ids, trace.cache).argmax())
    if trace.smaller is not None:
        last_logits(engine.model, ids, trace.smaller)
    trace.tokens.append(first)
    trace.report.say(f"{plural(len(ids), 'token')} of prompt: their keys and values are in the cache.")
    trace.report.show(the_cache=_filling(engine, trace, len(ids)))
    yield trace.report.frame(0.0)
    for step in range(new_tokens):
        _step(engine, trace)
        _say(engine, trace, p)
        yield trace.report.frame((step + 1) / (new_tokens + 1))
    read, sums = weight_bytes(engine) + trace.cache.nbytes, flops(engine, 1, trace.contexts[-1])
    trace.report.cost = cost(engine, "one token", min(trace.cached_ms), read, sums)
    takes = what_it_takes(engine, trace.cache, p["cache"], trace.smaller or trace.cache)
    answer = engine.tokenizer.decode([token for token in trace.tokens if token not in engine.tokenizer.eos_ids])
    turn = _second(engine, trace, passage, (p["text"], answer, p["second"]))
    full = int(trace.contexts[-1]), min(trace.cached_ms), min(trace.recomputed_ms)
    trace.report.show_also(
        time_per_token=time_curve([*shorter_contexts(engine, trace.prompt, trace.cache), full]),
        change_a_word=_edit(engine, trace, p),
        the_second_turn=turn,
        what_it_takes=takes,
        real_models=real_models(engine, p["formula_tokens"], int(p["formula_bits"])),
    )
    yield trace.report.frame()


def _smaller(config: Config, p: Mapping[str, Any]) -> KVCache | None:
    """The cache that keeps less, if one is chosen."""
    group = gcd(32, config.d_head)
    match p["cache"]:
        case "8 bits":
            return QuantizedCache(config, 8, group)
        case "4 bits":
            return QuantizedCache(config, 4, group)
        case "window + first":
            return WindowCache(config, p["window"], p["sinks"])
    return None


def _step(engine: Engine, trace: CacheTrace) -> None:
    """One more token, each way."""
    text = trace.prompt + trace.tokens
    cached, cached_ms = timed(last_logits, engine.model, text[-1:], trace.cache)
    recomputed, recomputed_ms = timed(last_logits, engine.model, text, None)
    trace.contexts.append(len(text))
    trace.cached_ms.append(cached_ms)
    trace.recomputed_ms.append(recomputed_ms)
    trace.differences.append(float((cached - recomputed).abs().max()))
    trace.agreed &= int(cached.argmax()) == int(recomputed.argmax())
    if trace.smaller is not None:
        found = last_logits(engine.model, text[-1:], trace.smaller)
        trace.smaller_kl.append(kl_nats(cached[None], found[None]))
        trace.smaller_agreed &= int(cached.argmax()) == int(found.argmax())
    trace.tokens.append(int(cached.argmax()))


def _names(engine: Engine, trace: CacheTrace) -> list[str]:
    """The tokens that have a place in the cache; those still to come have no name."""
    known = [engine.token_text(token) for token in trace.prompt + trace.tokens]
    places = len(trace.prompt) + trace.new_tokens
    return (known + [""] * places)[:places]


def _filling(engine: Engine, trace: CacheTrace, new: int) -> CacheGrid:
    return filling(_names(engine, trace), engine.model.config.n_layers, trace.cache.length, new)


def _say(engine: Engine, trace: CacheTrace, p: Mapping[str, Any]) -> None:
    """Views, caption and measurements after a step."""
    cached, recomputed = Timing.of(trace.cached_ms), Timing.of(trace.recomputed_ms)
    cache, smaller = trace.cache, trace.smaller or trace.cache
    per_token = engine.model.config.kv_bytes_per_token(FP32_BYTES)
    kl = sum(trace.smaller_kl) / max(len(trace.smaller_kl), 1)
    trace.report.say(
        f"At {plural(trace.contexts[-1], 'token')}: {duration(cached.median)} a token with the cache, "
        f"{duration(recomputed.median)} without."
    )
    if trace.smaller_kl:
        trace.report.say_also(f"With {p['cache']}: {percent(smaller.nbytes / cache.nbytes)} of the bytes.")
    trace.report.show(
        the_cache=_filling(engine, trace, 1),
        again_or_kept=again_or_kept(_names(engine, trace), len(trace.prompt), len(trace.contexts)),
    )
    trace.report.measure(
        prompt_tokens=len(trace.prompt),
        tokens_read_again=int(sum(trace.contexts)),
        tokens_written=len(trace.contexts),
        cache_tokens=cache.length,
        bytes_of_one_token=per_token,
        cache_bytes_predicted=per_token * cache.length,
        cache_bytes_actual=cache.nbytes,
        cache_bytes_reserved=cache.reserved_bytes,
        tokens_equal=trace.agreed,
        logits_max_abs_diff=max(trace.differences),
        decode_ms_with_cache=cached.median,
        decode_ms_without_cache=recomputed.median,
        decode_ms_with_cache_spread=[cached.fastest, cached.slowest],
        decode_ms_without_cache_spread=[recomputed.fastest, recomputed.slowest],
        speedup=trace.speedup,
        cache_clearly_faster=clearly_slower(recomputed, cached),
        smaller_cache=p["cache"],
        smaller_bytes=smaller.nbytes,
        smaller_share=smaller.nbytes / cache.nbytes,
        smaller_kl_nats=kl,
        smaller_harm="none" if trace.smaller is None else "little" if kl < NOTICED_NATS else "much",
        smaller_tokens_equal=trace.smaller_agreed,
    )


def _edit(engine: Engine, trace: CacheTrace, p: Mapping[str, Any]) -> CacheGrid:
    found = edited(engine, p["text"], p["word"], p["instead"])
    trace.report.measure(
        edited_text=found.after,
        edit_tokens=len(found.tokens),
        edit_kept_tokens=max(found.at, 0),
        edit_changed_before=found.earlier,
        edit_changed_before_max_abs_diff=found.earlier_difference,
        edit_moved=found.moved,
        edit_changed_first_layer=int(found.changed[0].sum()),
        edit_changed_last_layer=int(found.changed[-1].sum()),
        edit_changed_share=found.last_layer_share,
    )
    return edit_grid(found)


def _second(engine: Engine, trace: CacheTrace, passage: list[int], messages: tuple[str, str, str]) -> Timeline:
    found = second_turn(engine, passage, messages, trace.prompt + trace.tokens, trace.cache)
    trace.report.measure(
        second_turn_tokens=found.tokens,
        second_turn_common=found.common,
        second_turn_shared_tokens=found.common,
        second_turn_new=found.tokens - found.common,
        second_turn_kept_ms=found.kept.fastest,
        second_turn_anew_ms=found.anew.fastest,
        second_turn_speedup=found.anew.fastest / found.kept.fastest,
        second_turn_clearly_faster=clearly_slower(found.anew, found.kept),
        second_turn_max_abs_diff=found.difference,
    )
    return turn_timeline(found)
