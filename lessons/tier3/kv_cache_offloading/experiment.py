"""Reads the same tokens in turn with all keys and values in memory, with missing blocks fetched from a file, and
without them; then says what the misses would cost over other links and in a large model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, Frame, Table, Timeline
from llm_holes.engine.measure import changed_share, kl_nats
from llm_holes.engine.numbers import duration, plural, size
from llm_holes.lessons.shared.counts import cache_bytes, flops, weight_bytes
from llm_holes.lessons.shared.in_turn import clearly_slower
from llm_holes.lessons.shared.passage import after_passage, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.kv_cache_offloading.block_reads import reads_views
from llm_holes.lessons.tier3.kv_cache_offloading.decoding import ALONE, FETCHED, LEFT_OUT, RESIDENT, Decoding
from llm_holes.lessons.tier3.kv_cache_offloading.file_speed import Speeds, best_gb_per_s, fetching
from llm_holes.lessons.tier3.kv_cache_offloading.large_model import HBM, Step, tiers
from llm_holes.lessons.tier3.kv_cache_offloading.links import Link, links
from llm_holes.lessons.tier3.kv_cache_offloading.waits import block_sizes, fetch_or_compute, waiting_tokens

MIB = 2**20


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    passage = passage_ids(engine, p["context_tokens"])
    ids = engine.fits(after_passage(engine, passage, engine.chat(p["text"])), p["max_new_tokens"])
    report = Report()
    report.say("The slower memory of this machine: how fast do blocks come from its file?")
    speeds: Speeds = {}
    for speeds in fetching(engine):
        report.show(block_sizes=block_sizes(speeds, MIB, p["block_size"], 0))
        yield report.frame(0.1)
    known = links(best_gb_per_s(speeds))
    with Decoding(engine, ids, p) as decoding:
        for done in decoding.steps():
            report.show(waits=_waits(engine, decoding, p, known))
            report.say(f"Reading in turn with everything in memory, fetched and left out: {plural(done, 'token')}.")
            yield report.frame(0.1 + 0.8 * done / p["max_new_tokens"])
        report.measure(_counted(engine, decoding, p), **_timed(decoding), **_left_out(decoding))
        report.measure(_over(engine, decoding, p, known, speeds, report.measured))
        _pictures(engine, decoding, p, known, speeds, report)
    m = report.measured
    report.cost = cost(
        engine,
        "one token, missing blocks fetched",
        m["ms_per_token_offloaded"],
        weight_bytes(engine) + cache_bytes(engine, decoding.positions) + m["missed_bytes_per_token"],
        flops(engine, 1, decoding.positions),
        view="waits",
    )
    report.say(f"Each token fetches {size(m['missed_bytes_per_token'])}: {duration(m['wait_ms'])} over {p['link']}.")
    yield report.frame()


def _block_bytes(engine: Engine, p: Mapping[str, Any]) -> int:
    """Of one block of one layer."""
    return cache_bytes(engine, p["block_size"]) // engine.model.config.n_layers


def _counted(engine: Engine, decoding: Decoding, p: Mapping[str, Any]) -> dict[str, Any]:
    missed, rate = decoding.missed_blocks(), decoding.hit_rate()
    cache = decoding.ways[FETCHED].cache
    return {
        "policy": p["policy"],
        "cache_tokens": decoding.positions,
        "cache_bytes": cache.nbytes,
        "resident_bytes": cache.resident_bytes,
        "left_out_bytes": cache.nbytes - decoding.ways[LEFT_OUT].cache.nbytes,
        "hit_rate": rate,
        "reads_in_a_circle": p["policy"] == "LRU" and rate < 1,
        "block_bytes": _block_bytes(engine, p),
        "misses_per_token": round(sum(missed) / len(missed)),
        "missed_bytes_per_token": sum(missed) / len(missed) * _block_bytes(engine, p),
    }


def _timed(decoding: Decoding) -> dict[str, Any]:
    resident, fetched = decoding.times[RESIDENT], decoding.times[FETCHED]
    return {
        "ms_per_token_resident": resident.fastest,
        "ms_per_token_resident_spread": [resident.fastest, resident.slowest],
        "ms_per_token_offloaded": fetched.fastest,
        "ms_per_token_offloaded_spread": [fetched.fastest, fetched.slowest],
        "ms_per_token_left_out": decoding.times[LEFT_OUT].fastest,
        "fetching_clearly_slower": clearly_slower(fetched, resident),
        "ms_per_miss_measured": median(decoding.fetching.ms) if decoding.fetching.ms else 0.0,
    }


def _left_out(decoding: Decoding) -> dict[str, Any]:
    """What fetching and leaving out change: nothing, and the predictions."""
    intact, exact, lossy = (decoding.stacked(way) for way in (RESIDENT, FETCHED, LEFT_OUT))
    ways = decoding.ways
    return {
        "tokens_equal": ways[RESIDENT].likeliest == ways[FETCHED].likeliest,
        "logits_max_abs_diff": float((intact - exact).abs().max()),
        "tokens_equal_left_out": ways[RESIDENT].likeliest == ways[LEFT_OUT].likeliest,
        "kl_left_out_nats": kl_nats(intact[1:], lossy[1:]),
        "changed_share_left_out": changed_share(intact[1:], lossy[1:]),
        "answer_differs": ways[RESIDENT].tokens != ways[ALONE].tokens,
    }


def _over(
    engine: Engine,
    decoding: Decoding,
    p: Mapping[str, Any],
    known: Mapping[str, Link],
    speeds: Speeds,
    m: Mapping[str, Any],
) -> dict[str, Any]:
    """Bytes divided by the speed of the chosen link: for a miss, a token, a saved conversation and a large model."""
    link, large = known[p["link"]], Step(p["large_context"], 1 - m["hit_rate"])
    saved_bytes = cache_bytes(engine, m["cache_tokens"] - p["max_new_tokens"])
    reload_ms = link.ms(saved_bytes)
    per_mib = [t.fastest for t in speeds.values()]
    return {
        "link_gb_per_s": link.gb_per_s,
        "file_gb_per_s": best_gb_per_s(speeds),
        "ms_per_miss_predicted": link.ms(m["block_bytes"]),
        "file_ms_per_miss_predicted": Link("", best_gb_per_s(speeds)).ms(m["block_bytes"]),
        "wait_ms": link.ms(m["missed_bytes_per_token"]),
        "smallest_blocks_vs_best": per_mib[0] / min(per_mib),
        "reload_ms": reload_ms,
        "recompute_ms": decoding.prefill_ms,
        # both grow with the tokens: fetching pays from the first on, or not at all (0)
        "breakeven_tokens": int(reload_ms < decoding.prefill_ms),
        "breakeven_mb_per_s": saved_bytes / decoding.prefill_ms / 1e3,
        "large_cache_bytes": large.cache_bytes,
        "large_missed_bytes": large.missed_bytes,
        "large_ms_in_memory": Step(p["large_context"], 0.0).ms(HBM),
        "large_ms_fetched": large.ms(link),
        "large_slowdown": large.slowdown(link),
    }


def _waits(engine: Engine, decoding: Decoding, p: Mapping[str, Any], known: Mapping[str, Link]) -> Timeline:
    names = [engine.token_text(token) for token in decoding.ways[RESIDENT].tokens]
    missed = [blocks * _block_bytes(engine, p) for blocks in decoding.missed_blocks()]
    return waiting_tokens(names, decoding.times[RESIDENT].fastest, missed, known, p["link"])


def _pictures(
    engine: Engine,
    decoding: Decoding,
    p: Mapping[str, Any],
    known: Mapping[str, Link],
    speeds: Speeds,
    report: Report,
) -> None:
    m = report.measured
    in_memory, over_time = reads_views(decoding.ways[FETCHED].cache, p["block_size"])
    large = Step(p["large_context"], 1 - m["hit_rate"])
    read = m["cache_tokens"] - p["max_new_tokens"]
    report.show(
        waits=_waits(engine, decoding, p, known),
        over_time=over_time,
        block_sizes=block_sizes(
            speeds,
            m["missed_bytes_per_token"] or m["cache_bytes"],
            p["block_size"],
            m["ms_per_miss_measured"] * m["misses_per_token"],
        ),
        a_large_model=tiers(large, known, p["link"]),
        two_answers=_two_answers(engine, decoding),
        fetch_or_compute=fetch_or_compute(read, cache_bytes(engine, read), m["recompute_ms"], known, p["link"]),
        in_fast_memory=in_memory,
        three_ways=_three_ways(decoding, m),
    )


def _three_ways(decoding: Decoding, m: Mapping[str, Any]) -> Table:
    held = {RESIDENT: m["cache_bytes"], FETCHED: m["resident_bytes"], LEFT_OUT: m["resident_bytes"]}
    same = {RESIDENT: True, FETCHED: m["tokens_equal"], LEFT_OUT: m["tokens_equal_left_out"]}
    rows = tuple(
        (way, size(held[way]), *map(duration, (t.fastest, t.median, t.slowest)), same[way])
        for way, t in decoding.times.items()
        if way in held
    )
    return Table("three ways, timed in turn", ("", "in memory", "fastest", "median", "slowest", "same tokens"), rows)


def _two_answers(engine: Engine, decoding: Decoding) -> Diff:
    whole, left = (engine.tokenizer.decode(decoding.ways[way].tokens) for way in (RESIDENT, ALONE))
    return Diff("what the model writes", whole, left, RESIDENT, LEFT_OUT)
