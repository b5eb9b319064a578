"""Cuts single looks out of attention: some tokens may not see some earlier ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import hooked


@dataclass(frozen=True, slots=True)
class EdgesCut:
    """The tokens from position `first` to before `end` (None: to the last) do not see the tokens at `keys`, in one
    `layer` and `head` or (None) in all. What they would have looked at there goes to the others; a token always sees
    itself."""

    keys: tuple[int, ...]
    first: int
    end: int | None = None
    layer: int | None = None
    head: int | None = None

    def apply(self, model: Decoder) -> Decoder:
        for layer in range(model.config.n_layers) if self.layer is None else (self.layer,):
            model = hooked(model, tap(layer, "attn.hook_attn_scores"), self._cut)
        return model

    def _cut(self, scores: Tensor) -> Tensor:
        """The scores [batch, head, query, key] with those that are cut at minus infinity; the queries are the last of
        the keys' positions."""
        queries, keys = scores.shape[-2:]
        key = torch.arange(keys)
        query = key[keys - queries :, None]
        cut = torch.isin(key, torch.tensor(self.keys, dtype=torch.long)) & (query >= self.first) & (query != key)
        if self.end is not None:
            cut &= query < self.end
        heads = torch.arange(scores.shape[1]) == self.head if self.head is not None else torch.tensor([True])
        return scores.masked_fill(cut & heads[:, None, None], -torch.inf)
