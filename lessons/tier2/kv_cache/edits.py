"""One word of a text is changed: which keys, of which tokens and in which layers, come out differently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import CacheGrid, CellState
from llm_holes.engine.model.hook_names import in_all_layers, tap
from llm_holes.lessons.tier2.kv_cache.grids import grid

ALIKE = 1e-3
"""Keys that differ by less, as a share of their length, are equal to rounding."""


@dataclass(frozen=True, slots=True)
class Edit:
    """`changed` [layer, token]: whether the key differs. `at` is the first token that does, -1 if none; keys before it
    differ by `earlier_difference` at most. `moved`: the word has another number of tokens."""

    before: str
    after: str
    tokens: tuple[str, ...]
    changed: npt.NDArray[np.bool_]
    at: int
    earlier_difference: float
    moved: bool

    @property
    def earlier(self) -> int:
        """Cells before the changed word that differ."""
        return int(self.changed[:, : max(self.at, 0)].sum())

    @property
    def last_layer_share(self) -> float:
        return float(self.changed[-1].mean())


def edited(engine: Engine, text: str, word: str, instead: str) -> Edit:
    """The text with the first `word` (its own first word, if it has no such) replaced. Of texts of different length
    the tokens of the changed one are shown that have a partner."""
    first = word if word and word in text else (text.split() or [""])[0]
    other = text.replace(first, instead, 1)
    a, b = engine.encode(text), engine.encode(other or text)
    length = min(len(a), len(b))
    keys = [_keys(engine, ids)[:, :length] for ids in (a, b)]
    away = np.linalg.norm(keys[1] - keys[0], axis=-1) / np.maximum(np.linalg.norm(keys[0], axis=-1), 1e-9)
    at = next((n for n in range(length) if a[n] != b[n]), -1)
    earlier = np.abs(keys[1] - keys[0])[:, : max(at, 0)].max(initial=0.0)
    tokens = tuple(engine.token_text(token) for token in b[:length])
    return Edit(text, other, tokens, away > ALIKE, at, float(earlier), len(a) != len(b))


def _keys(engine: Engine, ids: list[int]) -> npt.NDArray[np.float32]:
    """[layer, token, numbers]: the keys of all heads as the cache holds them."""
    layers = engine.model.config.n_layers
    acts = engine.model.forward(
        torch.tensor([ids]), taps=in_all_layers("attn.hook_rot_k", layers), logits_to_keep=1
    ).acts
    return np.stack([acts[tap(layer, "attn.hook_rot_k")][0].reshape(len(ids), -1) for layer in range(layers)])


def edit_grid(found: Edit) -> CacheGrid:
    rows: list[list[CellState]] = [["changed" if cell else "kept" for cell in row] for row in found.changed.tolist()]
    return grid(f"“{found.after}”: which keys are new", found.tokens, rows)
