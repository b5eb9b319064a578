"""Decodes the same tokens three times: all in memory, with blocks fetched from a file, and without what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Diff, Frame, Series, Table
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.kvcache.offloaded import OffloadedCache, Policy, block_shape, slots_for
from llm_holes.engine.kvcache.tiers import tier_for
from llm_holes.engine.measure import Timing, kl_nats, timed
from llm_holes.engine.model.cache import ContiguousCache, KVCache
from llm_holes.engine.numbers import duration, percent, plural
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import keyed
from llm_holes.lessons.tier3.kv_cache_offloading.block_reads import reads_views
from llm_holes.lessons.tier3.kv_cache_offloading.reload import Saved, fetch_or_compute, saved_conversation

MIB = 2**20


@dataclass
class Decoding:
    """One way through the tokens: the logits before each, the time of each step, the time of the prompt."""

    prefill_ms: float = 0.0
    logits: list[Tensor] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)

    @property
    def chosen(self) -> list[int]:
        return [int(logits.argmax()) for logits in self.logits]


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    new_tokens: int = p["max_new_tokens"]
    ids = engine.fits(passage_ids(engine, p["context_tokens"]) + engine.chat(p["text"]), new_tokens)
    positions = len(ids) + new_tokens
    tokens: list[int] = []
    resident, exact, lossy = Decoding(), Decoding(), Decoding()
    for _ in _decode(engine, ids, ContiguousCache(engine.model.config, positions), resident, tokens, new_tokens):
        yield _waiting("everything in memory", resident, 0.3 * len(tokens) / new_tokens)
    with closing(_cache(engine, positions, p, exact=True)) as cache:
        for _ in _decode(engine, ids, cache, exact, tokens, new_tokens):
            yield _waiting("missing blocks fetched", exact, 0.3 + 0.3 * len(exact.ms) / new_tokens)
        (last, over_time), hits, misses = reads_views(cache, p["block_size"]), cache.hits.total(), cache.misses.total()
        held = {"cache_bytes": cache.nbytes, "resident_bytes": cache.resident_bytes}
    with closing(_cache(engine, positions, p, exact=False)) as cache:
        for _ in _decode(engine, ids, cache, lossy, tokens, new_tokens):
            yield _waiting("missing blocks left out", lossy, 0.6 + 0.3 * len(lossy.ms) / new_tokens)
        held["left_out_bytes"] = held["cache_bytes"] - cache.nbytes
    saved = saved_conversation(engine, ids, resident.prefill_ms, p["link_mb_per_s"])
    rate = {"cache_tokens": positions, "hit_rate": hits / (hits + misses)}
    measured = _measured(p, resident, exact, lossy, saved) | rate | held
    views = keyed(
        {
            "in_fast_memory": last,
            "over_time": over_time,
            "three_ways": _three_ways(measured),
            "two_answers": _two_answers(engine, resident, lossy),
            "fetch_or_compute": fetch_or_compute(saved),
        }
    )
    yield Frame(_caption(measured), views, measured)


def _cache(engine: Engine, positions: int, p: Mapping[str, Any], exact: bool) -> OffloadedCache:
    config, size = engine.model.config, p["block_size"]
    device = engine.model.weights["model.embed_tokens.weight"].device
    tier = tier_for(device, slots_for(config, positions, size), block_shape(config, size))
    policy: Policy = p["policy"]
    return OffloadedCache(config, tier, positions, max(2, p["budget"] // size), size, policy, exact)


def _decode(
    engine: Engine, ids: list[int], cache: KVCache, found: Decoding, tokens: list[int], count: int
) -> Iterator[None]:
    """Reads the prompt, then `tokens` one by one; where they are not there yet, the likeliest is taken."""
    logits, found.prefill_ms = timed(last_logits, engine.model, ids, cache)
    found.logits.append(logits)
    yield
    for step in range(count):
        if step == len(tokens):
            tokens.append(int(found.logits[-1].argmax()))
        logits, ms = timed(last_logits, engine.model, tokens[step : step + 1], cache)
        found.logits.append(logits)
        found.ms.append(ms)
        yield


def _waiting(way: str, found: Decoding, progress: float) -> Frame:
    steps = tuple(map(float, range(1, len(found.ms) + 1)))
    return Frame(
        f"Decoding, {way}: {plural(len(found.ms), 'token')}.",
        (Curve("time for one more token", (Series(way, steps, tuple(found.ms)),), "token", "ms", key="decoding"),),
        {},
        progress,
    )


def _measured(
    p: Mapping[str, Any], resident: Decoding, exact: Decoding, lossy: Decoding, saved: Saved
) -> dict[str, Any]:
    stacked = [torch.stack(way.logits) for way in (resident, exact, lossy)]
    times = [Timing.of(way.ms) for way in (resident, exact, lossy)]
    return {
        "policy": p["policy"],
        "ms_per_token_resident": times[0].median,
        "ms_per_token_resident_spread": [times[0].fastest, times[0].slowest],
        "ms_per_token_offloaded": times[1].median,
        "ms_per_token_offloaded_spread": [times[1].fastest, times[1].slowest],
        "ms_per_token_left_out": times[2].median,
        "tokens_equal": resident.chosen == exact.chosen,
        "logits_max_abs_diff": float((stacked[0] - stacked[1]).abs().max()),
        "tokens_equal_left_out": resident.chosen == lossy.chosen,
        "kl_left_out_nats": kl_nats(stacked[0][1:], stacked[2][1:]),
        "reload_ms": saved.reload_ms,
        "recompute_ms": saved.recompute_ms,
        "breakeven_tokens": saved.breakeven,
    }


def _three_ways(m: Mapping[str, Any]) -> Table:
    rows = (
        ("everything in memory", m["cache_bytes"] / MIB, m["ms_per_token_resident"], 0.0, "yes"),
        ("missing blocks fetched", m["resident_bytes"] / MIB, m["ms_per_token_offloaded"], 0.0, m["tokens_equal"]),
        (
            "missing blocks left out",
            m["resident_bytes"] / MIB,
            m["ms_per_token_left_out"],
            m["kl_left_out_nats"],
            m["tokens_equal_left_out"],
        ),
    )
    columns = ("", "MiB in memory", "ms a token", "KL, nats", "same tokens")
    return Table("three ways", columns, rows)


def _two_answers(engine: Engine, resident: Decoding, lossy: Decoding) -> Diff:
    def text(way: Decoding) -> str:
        return engine.tokenizer.decode(way.chosen)

    title = "the likeliest tokens after the same text: everything in memory, and missing blocks left out"
    return Diff(title, text(resident), text(lossy), "everything", "left out")


def _caption(m: Mapping[str, Any]) -> str:
    same = "The same tokens" if m["tokens_equal"] else "Not the same tokens"
    return (
        f"{m['policy']}: {percent(m['hit_rate'])} of the reads found their block. {same}, at "
        f"{duration(m['ms_per_token_offloaded'])} instead of {duration(m['ms_per_token_resident'])} each."
    )
