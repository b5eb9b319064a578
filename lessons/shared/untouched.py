"""The proof that a run has left the model as it was, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.measure import fingerprint


@dataclass(frozen=True)
class Untouched:
    """A model before a run: a checksum of all its weights, and its logits [1, d_vocab] after a text."""

    engine: Engine
    ids: tuple[int, ...]
    weights: str
    logits: Tensor

    @classmethod
    def of(cls, engine: Engine, ids: Sequence[int]) -> Untouched:
        return cls(engine, tuple(ids), fingerprint(engine.model.weights), engine.logits(ids, 1))

    def holds(self) -> bool:
        """Whether weights and logits are the same still."""
        same = fingerprint(self.engine.model.weights) == self.weights
        return same and torch.equal(self.engine.logits(self.ids, 1), self.logits)
