"""A tug of war: after each layer, is a state more like one word or like another?

States of any two words have much in common, which says nothing about their meaning; so the mean of some reference
words' states is taken away before two are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.model.hook_names import tap

OPENINGS = ("The word", "This is about the")
REFERENCES = [
    "table",
    "friend",
    "music",
    "water",
    "paper",
    "child",
    "street",
    "window",
    "letter",
    "garden",
    "engine",
    "winter",
]
APART = 0.2
"""How far two states must lean apart to be clearly so."""
LEANS = 0.05
"""How far a state must lean to one side not to be between the two."""
NEITHER = "neither"


@dataclass(frozen=True)
class Rope:
    """What pulls: the states [state, d_model] of two words, the mean of the references taken away from both."""

    names: tuple[str, str]
    ends: tuple[Tensor, Tensor]
    mean: Tensor

    def lean(self, own: Tensor) -> list[float]:
        """How much more like the first word than like the second the states own [state, d_model] are: the difference
        of two cosines, one number per state."""
        to_first, to_second = (torch.cosine_similarity(own - self.mean, end, dim=-1, eps=1e-12) for end in self.ends)
        found: list[float] = (to_first - to_second).tolist()
        return found

    def winner(self, leans: Sequence[float]) -> str:
        """The word to which the upper half of the layers pulls."""
        upper = leans[len(leans) // 2 :]
        lean = sum(upper) / len(upper)
        return NEITHER if abs(lean) < LEANS else self.names[0 if lean > 0 else 1]


def rope(engine: Engine, first: str, second: str) -> Rope:
    """The rope between two words. Raises InputError if one is missing."""
    names = (first.strip(), second.strip())
    if not all(names):
        raise InputError("a meaning is empty", "Type a word that means what the word of the text could mean.")
    states = neutral(engine, [*names, *REFERENCES])
    mean = states[2:].mean(0)
    return Rope(names, (states[0] - mean, states[1] - mean), mean)


def neutral(engine: Engine, words: Sequence[str]) -> Tensor:
    """The states [word, state, d_model] of each word, the mean of those at the end of short openings."""
    names = ["hook_embed", *(tap(layer, "hook_resid_post") for layer in range(engine.model.config.n_layers))]
    by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
    for row, word in enumerate(words):
        for opening in OPENINGS:
            ids = engine.encode(f"{opening} {word}")
            by_length[len(ids)].append((row, ids))
    total = torch.zeros(len(words), len(names), engine.model.config.d_model)
    for group in by_length.values():
        acts = engine.model.forward(torch.tensor([ids for _, ids in group]), taps=names, logits_to_keep=1).acts
        last = torch.stack([torch.as_tensor(acts[name][:, -1]) for name in names], dim=1)
        total.index_add_(0, torch.tensor([row for row, _ in group]), last)
    return total / len(OPENINGS)


def apart_from(first: Sequence[float], second: Sequence[float]) -> int:
    """How many layers have passed when two leans are clearly apart for the first time; -1 if they never are."""
    pairs = enumerate(zip(first, second, strict=True))
    return next((layers for layers, (a, b) in pairs if abs(a - b) >= APART), -1)
