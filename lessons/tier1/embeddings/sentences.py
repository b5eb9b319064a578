"""One arrow for a whole sentence, made of its rows or of its states: which of two others lies nearer?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Curve, series
from llm_holes.engine.model.hook_names import tap
from llm_holes.lessons.shared.passage import passage_ids

COMMON_TOKENS = 96
"""So many tokens of a story say what the arrows of all texts have in common."""

FoundBy = Literal["both", "rows only", "states only", "neither"]


@dataclass(frozen=True, slots=True)
class Nearness:
    """The cosines of a sentence with one that means the same and one made of the same words: of the rows' means, then
    of the states' means after each layer, without what all texts have in common."""

    same: tuple[float, ...]
    alike: tuple[float, ...]

    @property
    def middle(self) -> int:
        """The place of the states half-way up."""
        return (len(self.same) - 1) // 2

    def finds(self, place: int) -> bool:
        return self.same[place] > self.alike[place]

    @property
    def found_by(self) -> FoundBy:
        rows, states = self.finds(0), self.finds(self.middle)
        return "both" if rows and states else "rows only" if rows else "states only" if states else "neither"


def nearness(engine: Engine, sentence: str, same: str, alike: str) -> Nearness:
    common = _means(engine, passage_ids(engine, COMMON_TOKENS))
    asked, one, other = (_means(engine, _ids(engine, text)) - common for text in (sentence, same, alike))
    return Nearness(_cosines(asked, one), _cosines(asked, other))


def _ids(engine: Engine, text: str) -> list[int]:
    if not text.strip():
        raise InputError("one of the three sentences is empty", "Type a sentence, or a word.")
    return engine.encode(text)


def _means(engine: Engine, ids: list[int]) -> Tensor:
    """The mean of the rows, then of the states after each layer, [1 + layers, d_model]. The first state is left out: it
    is far longer than all others and says little about the text."""
    points = ["hook_embed", *(tap(layer, "hook_resid_post") for layer in range(engine.model.config.n_layers))]
    acts = engine.model.forward(torch.tensor([ids]), taps=points, logits_to_keep=1).acts
    states = torch.stack([torch.as_tensor(acts[point][0]) for point in points])  # [1 + layers, pos, d_model]
    later = states[1:, 1:] if len(ids) > 1 else states[1:]
    return torch.cat([states[:1].mean(1), later.mean(1)])


def _cosines(a: Tensor, b: Tensor) -> tuple[float, ...]:
    return tuple(torch.cosine_similarity(a, b, dim=-1).tolist())


def nearness_picture(found: Nearness, sentence: str, same: str, alike: str) -> Curve:
    at = range(len(found.same))
    lines = (series(same, at, found.same), series(alike, at, found.alike))
    return Curve(f"how near to “{sentence}”", lines, "0: its rows; then after each layer", "cosine")
