"""What keys and values take: in this run, counted, and in published models, by the formula."""

from __future__ import annotations

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Scalar, Table
from llm_holes.engine.model.cache import ContiguousCache, KVCache
from llm_holes.engine.numbers import count, plural, size
from llm_holes.lessons.shared.architectures import GIB, with_this_model

FP32_BYTES = 4


def what_it_takes(engine: Engine, cache: ContiguousCache, kind: str, smaller: KVCache) -> Table:
    config = engine.model.config
    per_token = config.kv_bytes_per_token(FP32_BYTES)
    rows: list[tuple[Scalar, ...]] = [
        ("layers", count(config.n_layers)),
        ("× 2, a key and a value", "2"),
        ("× heads that have their own", count(config.n_kv_heads)),
        ("× numbers in each", count(config.d_head)),
        ("× bytes of a number", str(FP32_BYTES)),
        ("= one token", size(per_token)),
        (f"{plural(cache.length, 'token')}, predicted", size(per_token * cache.length)),
        ("held by this cache, counted", size(cache.nbytes)),
    ]
    if smaller is not cache:
        rows.append((f"held with {kind}, all included", size(smaller.nbytes)))
    return Table("the cache of this run", ("", ""), tuple(rows), 5)


def real_models(engine: Engine, tokens: int, bits: int) -> Table:
    share = bits / 16 / GIB
    rows: tuple[tuple[Scalar, ...], ...] = tuple(
        (a.name, a.layers, a.n_kv_heads, a.kv_bytes(tokens) * share, a.kv_bytes(tokens, grouped=False) * share)
        for a in with_this_model(engine)
    )
    columns = ("model", "layers", "KV heads", "GiB", "GiB if ungrouped")
    return Table(f"keys and values of {plural(tokens, 'token')}, {bits} bits each", columns, rows)
