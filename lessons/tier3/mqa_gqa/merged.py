"""The ways of giving all query heads of a layer one thing to read, what they keep, and what each layer loses by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Curve, series
from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.engine.measure import changed_share, kl_nats
from llm_holes.engine.model.config import Config
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.numbers import plural
from llm_holes.engine.surgery.kv_heads import KVPooled, KVRotated, best_heads
from llm_holes.engine.surgery.kv_latent import KVLatent, fitted
from llm_holes.engine.surgery.operations import Operation

EXCHANGE, SHORT_LIST = "exchange", "short list"


class Merging:
    """How it is to be done: the mean of the heads, the first, the best, each other's, or one short list for all. What
    has to be looked for in a text is looked for once, in all layers."""

    def __init__(self, engine: Engine, way: str, ids: Sequence[int], other_ids: Sequence[int]) -> None:
        """`ids` are those that are measured, `other_ids` those of another text that short lists are fitted to."""
        self.way = way
        config = engine.model.config
        self.heads: tuple[int, ...] | None = None
        self.lists: dict[int, Tensor] = {}
        if way == "first":
            self.heads = (0,) * config.n_layers
        elif way == "best":
            self.heads = best_heads(engine.model, ids)
        elif way == SHORT_LIST:
            self.lists = fitted(engine.model, range(config.n_layers), 2 * config.d_head, other_ids).directions

    def of(self, layers: Sequence[int]) -> Operation:
        """The operation on these layers."""
        if self.way == EXCHANGE:
            return KVRotated(tuple(layers))
        if self.way == SHORT_LIST:
            return KVLatent({layer: self.lists[layer] for layer in layers})
        return KVPooled(tuple(layers), self.heads)


def kept_bytes(config: Config, way: str, layers: int, tokens: int) -> int:
    """Bytes of cache, counted layer by layer: one head's key and value where all share it, and a short list is as long;
    all heads' elsewhere, and where they are only exchanged."""
    per_head = tokens * config.kv_bytes_per_token() // (config.n_layers * config.n_kv_heads)
    heads = config.n_kv_heads if way == EXCHANGE else 1
    return per_head * (layers * heads + (config.n_layers - layers) * config.n_kv_heads)


def each_layer_alone(engine: Engine, merging: Merging, ids: Sequence[int]) -> Iterator[tuple[float, float]]:
    """KL in nats and the share of next tokens that would come out differently, with one layer merged, then the next.
    What is below that layer stays as it was and is computed once. Raises Cancelled."""
    stream = residual_stream(engine.model, ids)
    intact = engine.model.unembed(stream[-1])
    for layer in range(engine.model.config.n_layers):
        if engine.model.is_cancelled():
            raise Cancelled
        changed = _from(merging.of([layer]).apply(engine.model), stream[layer], layer)
        yield kl_nats(intact, changed), changed_share(intact, changed)


@torch.no_grad()
def _from(model: Decoder, x: Tensor, layer: int) -> Tensor:
    """Logits [pos, d_vocab] from the stream [pos, d_model] before the layer."""
    return model.unembed(model.run_layers(x[None], layer))[0]


def damage(shares: Sequence[float], n_layers: int, tokens: int) -> Curve:
    """What each layer loses, as far as it was tried."""
    return Curve(
        f"one layer changed, on {plural(tokens, 'token')}: next words that become others",
        (series("", range(len(shares)), shares),),
        "the layer",
        "share",
        x_range=(0, n_layers - 1),
    )
