"""Many texts in one pass: a cache for them, and one token for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.model.cache import ContiguousCache

CACHE_BYTES = 2**30
"""What the caches of all texts together may take."""


def together(engine: Engine, start: ContiguousCache, texts: int) -> Callable[[], object]:
    """One pass that writes a token for each of `texts`, all of them copies of the one in the cache: the clock sees only
    how many there are."""
    length = start.length
    cache = start.copies(texts, 1)
    given = torch.zeros(texts, 1, dtype=torch.long)

    def work() -> None:
        cache.truncate(length)
        engine.model.forward(given, cache, logits_to_keep=1)

    return work


def filled(engine: Engine, ids: Sequence[int], length: int) -> ContiguousCache:
    """A cache of `length` tokens: the ids, read, then what they left, over and over. The clock sees only how much it
    is."""
    config = engine.model.config
    cache = ContiguousCache(config, length + 1)
    last_logits(engine.model, ids[:length], cache)
    nothing = torch.empty(1, config.n_kv_heads, 0, config.d_head)
    while cache.length < length:
        for layer in range(config.n_layers):
            cache.append(layer, *(x[:, :, : length - cache.length] for x in cache.append(layer, nothing, nothing)))
        cache.advance(min(cache.length, length - cache.length))
    return cache


def room_for(engine: Engine, tokens: int, texts: int = 1) -> int:
    """As many of the `tokens` as fit the model's context and, for all texts, a gigabyte."""
    config = engine.model.config
    return max(min(tokens, config.n_ctx - 1, CACHE_BYTES // config.kv_bytes_per_token() // texts), 1)
