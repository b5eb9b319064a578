"""Published shapes of real models, from the config.json of each release, for the calculator side of the lessons."""

from __future__ import annotations

from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Scalar, Table
from llm_holes.engine.numbers import plural

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Architecture:
    name: str
    layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int

    def kv_bytes(self, tokens: int, element_bytes: int = 2, grouped: bool = True) -> int:
        """Bytes of keys and values for `tokens` tokens; not `grouped`: as if every query head had its own."""
        heads = self.n_kv_heads if grouped else self.n_heads
        return 2 * self.layers * heads * self.d_head * element_bytes * tokens

    def score_bytes(self, tokens: int, element_bytes: int = 2) -> int:
        """Bytes of the scores of one layer, were they all kept: each query head has its own."""
        return self.n_heads * tokens**2 * element_bytes


ARCHITECTURES = (
    Architecture("SmolLM2-1.7B", 24, 32, 32, 64),
    Architecture("Falcon-7B", 32, 71, 1, 64),
    Architecture("Llama-2-7B", 32, 32, 32, 128),
    Architecture("Mistral-7B", 32, 32, 8, 128),
    Architecture("Llama-3-8B", 32, 32, 8, 128),
    Architecture("Qwen3-8B", 36, 32, 8, 128),
    Architecture("Qwen3-32B", 64, 64, 8, 128),
    Architecture("Llama-3-70B", 80, 64, 8, 128),
    Architecture("Llama-3.1-405B", 126, 128, 8, 128),
)


def with_this_model(engine: Engine) -> tuple[Architecture, ...]:
    """The model that is loaded, and the published ones."""
    config = engine.model.config
    here = Architecture(engine.info.name, config.n_layers, config.n_heads, config.n_kv_heads, config.d_head)
    return here, *ARCHITECTURES


def scores_of_layers(tokens: int) -> Table:
    """What the scores of one layer would take in real models, beside the keys and values of all layers."""
    rows: tuple[tuple[Scalar, ...], ...] = tuple(
        (a.name, a.n_heads, a.n_kv_heads, a.score_bytes(tokens) / GIB, a.kv_bytes(tokens) / GIB) for a in ARCHITECTURES
    )
    columns = ("model", "heads", "KV heads", "GiB of scores", "GiB of cache")
    return Table(
        f"published models: {plural(tokens, 'token')}, scores of one layer, cache of all, 16 bits", columns, rows
    )


def requests_that_fit(gib: int, reserved: int, used: int) -> Table:
    """How many requests' keys and values a memory holds, if each takes `reserved` positions and if only `used`."""
    rows: tuple[tuple[Scalar, ...], ...] = tuple(
        (a.name, a.n_kv_heads, a.kv_bytes(1) / 1024, *(int(gib * GIB // a.kv_bytes(n)) for n in (reserved, used)))
        for a in ARCHITECTURES
    )
    columns = ("model", "KV heads", "KiB a token", f"{reserved:,} reserved", f"{used:,} used")
    return Table(f"requests whose keys and values fit {gib} GiB, 16 bits each", columns, rows)
