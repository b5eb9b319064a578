"""How large a model is: all of its shape that the front end is told."""

from __future__ import annotations

import msgspec


class Sizes(msgspec.Struct, frozen=True):
    """The sizes of a model, under TransformerLens' names; `n_kv_heads` < `n_heads` means grouped-query attention."""

    n_layers: int
    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_mlp: int
    d_vocab: int
    n_ctx: int
    tied_embeddings: bool
