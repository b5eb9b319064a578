"""What a neuron pushes towards, in words that can be read.

The average row is taken out of the output table, since it pushes all tokens alike; every row counts the same whatever
its length; and only tokens that are whole words are listed, where a vocabulary has such.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.interpret.neurons import columns
from llm_holes.lessons.shared.words import output_table

LISTED = 3
LEAST_LETTERS = 3

Pushes = tuple[list[str], list[str]]
"""The tokens pushed up most and those pushed down most."""


def whole_words(engine: Engine) -> list[int]:
    """The tokens that are a space and a word; all tokens, where none is."""
    tokens = range(engine.tokenizer.vocabulary)
    found = [i for i in tokens if _is_word(engine.token_text(i))]
    return found or list(tokens)


def _is_word(text: str) -> bool:
    return text.startswith(" ") and text[1:].isalpha() and len(text) > LEAST_LETTERS


def readable_pushes(engine: Engine, layer: int, neurons: Sequence[int], values: Tensor) -> list[Pushes]:
    """Of each of these neurons, with its value at its place in `values`: a negative one turns the push round."""
    table, listed = output_table(engine.model), torch.tensor(whole_words(engine))
    rows = torch.nn.functional.normalize(table[listed] - table.mean(0), dim=1)
    written = columns(engine.model, layer)[:, list(neurons)] * values.sign()
    scores = (rows @ (written.T * engine.model.weights.get("model.norm.weight", torch.ones(()))).T).T
    return [(_best(engine, listed, row), _best(engine, listed, -row)) for row in scores]


def _best(engine: Engine, listed: Tensor, scores: Tensor) -> list[str]:
    """The words with the highest scores; one that differs only in its capitals is not said twice."""
    found: dict[str, str] = {}
    for i in scores.topk(min(4 * LISTED, len(scores))).indices.tolist():
        text = engine.token_text(int(listed[i]))
        found.setdefault(text.strip().lower() or text, text)
    return list(found.values())[:LISTED]
