"""The cache of published models: as they are, with a head of keys and values for each query head, and with one."""

from __future__ import annotations

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Scalar, Table
from llm_holes.engine.numbers import plural, size
from llm_holes.lessons.shared.architectures import Architecture, with_this_model

GIB = 2**30
HALF = 2
"""Bytes of a number in the calculator: most models keep their cache in 16 bits."""


class DeepSeek:
    """DeepSeek-V3, from its config.json: each layer keeps `kv_lora_rank` numbers per token, from which all heads' keys
    and values are computed, and one `qk_rope_head_dim` that carries the place."""

    name, layers, heads = "DeepSeek-V3", 61, 128
    latent, place, plain_key, value = 512, 64, 128, 128

    @classmethod
    def kv_bytes(cls, tokens: int) -> int:
        return cls.layers * (cls.latent + cls.place) * HALF * tokens

    @classmethod
    def kv_bytes_if_own(cls, tokens: int) -> int:
        """As if each query head kept its own key and value."""
        return cls.layers * cls.heads * (cls.plain_key + cls.place + cls.value) * HALF * tokens


def ways(model: Architecture, tokens: int) -> Bars:
    """One model's cache, shared more and more."""
    kept = ((model.n_heads, "one each"), (model.n_kv_heads, "as published"), (1, "one for all"))
    sizes = tuple(model.kv_bytes(tokens, HALF) * heads / model.n_kv_heads / GIB for heads, _ in kept)
    labels = tuple(f"{plural(heads, 'KV head')}, {way}" for heads, way in kept)
    return Bars(f"{model.name}: the cache of {plural(tokens, 'token')}, 16 bits each", labels, sizes, "GiB", marked=1)


def table(engine: Engine, tokens: int) -> Table:
    """The model that is loaded, the one with short lists, then the others."""
    rows: list[tuple[Scalar, ...]] = [
        (
            a.name,
            a.n_heads,
            str(a.n_kv_heads),
            size(a.kv_bytes(tokens, HALF, grouped=False)),
            size(a.kv_bytes(tokens, HALF)),
        )
        for a in with_this_model(engine)
    ]
    own, kept = size(DeepSeek.kv_bytes_if_own(tokens)), size(DeepSeek.kv_bytes(tokens))
    rows.insert(1, (DeepSeek.name, DeepSeek.heads, "MLA: a list", own, kept))
    columns = ("", "query heads", "KV heads", "if each its own", "cache")
    return Table(f"published models: the cache of {plural(tokens, 'token')}, 16 bits each", columns, tuple(rows))
