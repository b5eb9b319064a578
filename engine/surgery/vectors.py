"""Operations on vectors: rows of the embedding table replaced, a direction added to the stream.

Source: Turner et al. 2023 (activation addition).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.operations import hooked, reweighted, weight

TABLE = "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class RowMixed:
    """Moves one token's row towards another's: 0 leaves it, 1 makes it the other's. Where the table is tied, the row
    is also what the final vector is compared with."""

    token: int
    towards: int
    share: float

    def apply(self, model: Decoder) -> Decoder:
        table = weight(model, TABLE)
        mixed = (1 - self.share) * table[self.token] + self.share * table[self.towards]
        return with_rows(model, {self.token: mixed})


@dataclass(frozen=True, slots=True)
class RowsSwapped:
    """Two tokens exchange their rows; where the table is tied, they exchange their names in the output as well."""

    first: int
    second: int

    def apply(self, model: Decoder) -> Decoder:
        table = weight(model, TABLE)
        return with_rows(model, {self.first: table[self.second], self.second: table[self.first]})


@dataclass(frozen=True, slots=True)
class Steer:
    """Adds `alpha` times a direction (d_model numbers) to the stream at every position, after `layer`."""

    layer: int
    direction: tuple[float, ...]
    alpha: float

    def apply(self, model: Decoder) -> Decoder:
        step = self.alpha * torch.tensor(self.direction)
        return hooked(model, tap(self.layer, "hook_resid_post"), lambda stream: stream + step)


def with_rows(model: Decoder, rows: Mapping[int, Tensor]) -> Decoder:
    """The model with these rows in a copy of its table."""
    table = weight(model, TABLE).clone()
    for token, row in rows.items():
        table[token] = row
    return reweighted(model, {TABLE: table})
