"""Generates the same tokens twice, step by step: with the cache, and by recomputing the whole text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_holes.engine.cache import ContiguousCache
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Frame, Series, Table, Tokens
from llm_holes.engine.generate import last_logits
from llm_holes.engine.measure import Timing, timed
from llm_holes.lessons.architectures import ARCHITECTURES, Architecture
from llm_holes.lessons.passage import passage

FP32_BYTES = 4
GIB = 2**30


@dataclass
class Race:
    """What both ways gave so far: one entry per generated token."""

    tokens: list[int] = field(default_factory=list)
    contexts: list[float] = field(default_factory=list)
    cached_ms: list[float] = field(default_factory=list)
    recomputed_ms: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    agreed: bool = True

    @property
    def speedup(self) -> float:
        return Timing.of(self.recomputed_ms).median / Timing.of(self.cached_ms).median


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    new_tokens: int = p["max_new_tokens"]
    before = engine.tokenizer.encode(passage() * (1 + p["context_tokens"] // 500))[: p["context_tokens"]]
    ids = engine.fits(before + engine.chat(p["text"]), new_tokens + 1)
    cache = ContiguousCache(engine.model.config, len(ids) + new_tokens)
    first = int(last_logits(engine.model, ids, cache).argmax())
    race = Race(tokens=[first])
    for step in range(new_tokens):
        text = ids + race.tokens
        cached, cached_ms = timed(lambda: last_logits(engine.model, text[-1:], cache))  # noqa: B023
        recomputed, recomputed_ms = timed(lambda: last_logits(engine.model, text, None))  # noqa: B023
        race.contexts.append(len(text))
        race.cached_ms.append(cached_ms)
        race.recomputed_ms.append(recomputed_ms)
        race.differences.append(float((cached - recomputed).abs().max()))
        race.agreed &= int(cached.argmax()) == int(recomputed.argmax())
        race.tokens.append(int(cached.argmax()))
        last = step == new_tokens - 1
        yield _frame(engine, race, cache, p["formula_tokens"], None if last else (step + 1) / new_tokens)


def _frame(engine: Engine, race: Race, cache: ContiguousCache, formula_tokens: int, progress: float | None) -> Frame:
    config = engine.model.config
    predicted = config.kv_bytes_per_token(FP32_BYTES) * cache.length
    cached, recomputed = Timing.of(race.cached_ms), Timing.of(race.recomputed_ms)
    same = "the same token" if race.agreed else "not always the same token"
    return Frame(
        caption=f"At {race.contexts[-1]:.0f} tokens of context: {cached.median:.0f} ms with the cache, "
        f"{recomputed.median:.0f} ms without, {race.speedup:.1f}×, and {same} each time.",
        views=(
            Curve(
                "time for one more token",
                (
                    Series("with the cache", tuple(race.contexts), tuple(race.cached_ms)),
                    Series("without", tuple(race.contexts), tuple(race.recomputed_ms)),
                ),
                x_label="tokens in the context",
                y_label="ms",
            ),
            Tokens("what both wrote", engine.tokens(race.tokens)),
            Table("the cache of this run", ("", "bytes"), _bytes(config.n_layers, config.n_kv_heads, cache, predicted)),
            Table(
                f"keys and values of {formula_tokens:,} tokens, 16 bits each",
                ("model", "KV heads", "GiB", "GiB if ungrouped"),
                _formula(engine, formula_tokens),
            ),
        ),
        measured={
            "cache_tokens": cache.length,
            "cache_bytes_predicted": predicted,
            "cache_bytes_actual": cache.nbytes,
            "cache_bytes_reserved": cache.reserved_bytes,
            "tokens_equal": race.agreed,
            "logits_max_abs_diff": max(race.differences),
            "decode_ms_with_cache": cached.median,
            "decode_ms_without_cache": recomputed.median,
            "decode_ms_with_cache_spread": [cached.fastest, cached.slowest],
            "decode_ms_without_cache_spread": [recomputed.fastest, recomputed.slowest],
            "speedup": race.speedup,
        },
        progress=progress,
    )


def _bytes(layers: int, kv_heads: int, cache: ContiguousCache, predicted: int) -> tuple[tuple[str | int, ...], ...]:
    return (
        (f"predicted: {cache.length} tokens × {layers} layers × 2 × {kv_heads} KV heads × d_head × 4", predicted),
        ("held by keys and values, counted", cache.nbytes),
        ("reserved for this run", cache.reserved_bytes),
    )


def _formula(engine: Engine, tokens: int) -> tuple[tuple[str | int | float, ...], ...]:
    config = engine.model.config
    here = Architecture(engine.info.name, config.n_layers, config.n_heads, config.n_kv_heads, config.d_head)
    return tuple(
        (a.name, a.n_kv_heads, a.kv_bytes(tokens) / GIB, a.kv_bytes(tokens, grouped=False) / GIB)
        for a in (here, *ARCHITECTURES)
    )
