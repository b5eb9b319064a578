"""Generates the same tokens twice, step by step: with the cache, and by recomputing the whole text.

If a cache that keeps less is chosen, it reads them as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Frame, Series, Table, Tokens
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.kvcache.quantized import QuantizedCache
from llm_holes.engine.kvcache.window import WindowCache
from llm_holes.engine.measure import Timing, kl_nats, timed
from llm_holes.engine.model.cache import ContiguousCache, KVCache
from llm_holes.engine.model.config import Config
from llm_holes.engine.numbers import duration, figure, percent, plural
from llm_holes.lessons.shared.architectures import GIB, with_this_model
from llm_holes.lessons.shared.passage import passage_ids

FP32_BYTES = 4


@dataclass
class CacheTrace:
    """What both ways gave so far: one entry per generated token."""

    tokens: list[int] = field(default_factory=list)
    contexts: list[float] = field(default_factory=list)
    cached_ms: list[float] = field(default_factory=list)
    recomputed_ms: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    smaller_kl: list[float] = field(default_factory=list)
    agreed: bool = True
    smaller_agreed: bool = True

    @property
    def speedup(self) -> float:
        return Timing.of(self.recomputed_ms).median / Timing.of(self.cached_ms).median


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    new_tokens: int = p["max_new_tokens"]
    ids = engine.fits(passage_ids(engine, p["context_tokens"]) + engine.chat(p["text"]), new_tokens + 1)
    cache = ContiguousCache(engine.model.config, len(ids) + new_tokens)
    smaller = _smaller(engine.model.config, p)
    first = int(last_logits(engine.model, ids, cache).argmax())
    if smaller is not None:
        last_logits(engine.model, ids, smaller)
    trace = CacheTrace(tokens=[first])
    for step in range(new_tokens):
        text = ids + trace.tokens
        cached, cached_ms = timed(last_logits, engine.model, text[-1:], cache)
        recomputed, recomputed_ms = timed(last_logits, engine.model, text, None)
        trace.contexts.append(len(text))
        trace.cached_ms.append(cached_ms)
        trace.recomputed_ms.append(recomputed_ms)
        trace.differences.append(float((cached - recomputed).abs().max()))
        trace.agreed &= int(cached.argmax()) == int(recomputed.argmax())
        if smaller is not None:
            found = last_logits(engine.model, text[-1:], smaller)
            trace.smaller_kl.append(kl_nats(cached[None], found[None]))
            trace.smaller_agreed &= int(cached.argmax()) == int(found.argmax())
        trace.tokens.append(int(cached.argmax()))
        last = step == new_tokens - 1
        yield _frame(engine, trace, cache, smaller or cache, p, None if last else (step + 1) / new_tokens)


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


def _frame(
    engine: Engine,
    trace: CacheTrace,
    cache: ContiguousCache,
    smaller: KVCache,
    p: Mapping[str, Any],
    progress: float | None,
) -> Frame:
    config = engine.model.config
    predicted = config.kv_bytes_per_token(FP32_BYTES) * cache.length
    cached, recomputed = Timing.of(trace.cached_ms), Timing.of(trace.recomputed_ms)
    same = "the same token" if trace.agreed else "not always the same token"
    kl = sum(trace.smaller_kl) / max(len(trace.smaller_kl), 1)
    less = f" With {p['cache']}: {percent(smaller.nbytes / cache.nbytes)} of the bytes, KL {figure(kl)} nats."
    return Frame(
        caption=f"At {plural(trace.contexts[-1], 'token')} of context: {duration(cached.median)} with the cache, "
        f"{duration(recomputed.median)} without, {figure(trace.speedup)}×, and {same} each time."
        f"{less if trace.smaller_kl else ''}",
        views=(
            Curve(
                "time for one more token",
                (
                    Series("with the cache", tuple(trace.contexts), tuple(trace.cached_ms)),
                    Series("without", tuple(trace.contexts), tuple(trace.recomputed_ms)),
                ),
                x_label="tokens in the context",
                y_label="ms",
            ),
            Tokens("what both wrote", engine.tokens(trace.tokens)),
            Table("the cache of this run", ("", "bytes"), _bytes(config, cache, predicted, p["cache"], smaller)),
            Table(
                f"keys and values of {plural(p['formula_tokens'], 'token')}, {p['formula_bits']} bits each",
                ("model", "layers", "KV heads", "GiB", "GiB if ungrouped"),
                _formula(engine, p["formula_tokens"], int(p["formula_bits"])),
            ),
        ),
        measured={
            "cache_tokens": cache.length,
            "cache_bytes_predicted": predicted,
            "cache_bytes_actual": cache.nbytes,
            "cache_bytes_reserved": cache.reserved_bytes,
            "tokens_equal": trace.agreed,
            "logits_max_abs_diff": max(trace.differences),
            "decode_ms_with_cache": cached.median,
            "decode_ms_without_cache": recomputed.median,
            "decode_ms_with_cache_spread": [cached.fastest, cached.slowest],
            "decode_ms_without_cache_spread": [recomputed.fastest, recomputed.slowest],
            "speedup": trace.speedup,
            "smaller_cache": p["cache"],
            "smaller_bytes": smaller.nbytes,
            "smaller_kl_nats": kl,
            "smaller_tokens_equal": trace.smaller_agreed,
        },
        progress=progress,
    )


def _bytes(
    config: Config, cache: ContiguousCache, predicted: int, kind: str, smaller: KVCache
) -> tuple[tuple[str | int, ...], ...]:
    heads = f"{config.n_layers} layers × 2 × {config.n_kv_heads} KV heads × d_head × 4"
    rows: list[tuple[str | int, ...]] = [
        (f"predicted: {plural(cache.length, 'token')} × {heads}", predicted),
        ("held by keys and values, counted", cache.nbytes),
        ("reserved for this run", cache.reserved_bytes),
    ]
    if smaller is not cache:
        rows.append((f"held with {kind}, scales included", smaller.nbytes))
    return tuple(rows)


def _formula(engine: Engine, tokens: int, bits: int) -> tuple[tuple[str | int | float, ...], ...]:
    share = bits / 16 / GIB
    return tuple(
        (a.name, a.layers, a.n_kv_heads, a.kv_bytes(tokens) * share, a.kv_bytes(tokens, grouped=False) * share)
        for a in with_this_model(engine)
    )
