"""The same text continued by two programs with the same settings and luck: one filters first, one heats first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Table
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.generation.sampling import SamplingParams, generator
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.lessons.tier3.final_vector_to_token.filters import filters_first, heat_first

WRITTEN = 16
ORDERS: dict[str, Callable[[Tensor, SamplingParams], Tensor]] = {
    "filter first": filters_first,
    "heat first": heat_first,
}


@dataclass
class Written:
    """The tokens one order drew, and from how many each of them was drawn."""

    tokens: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


def continued(
    engine: Engine, prompt: Sequence[int], params: SamplingParams, written: dict[str, Written]
) -> Iterator[None]:
    """Fills `written`, an order at a time, yielding after each."""
    for name, order in ORDERS.items():
        rng, found = generator(params.seed), written.setdefault(name, Written())
        cache, pending = ContiguousCache(engine.model.config, len(prompt) + WRITTEN), list(prompt)
        while len(found.tokens) < WRITTEN and not ended(engine, found):
            p = order(last_logits(engine.model, pending, cache), params)
            pending = [int(torch.multinomial(p, 1, generator=rng))]
            found.tokens.append(pending[0])
            found.kept.append(int((p > 0).sum()))
        yield


def ended(engine: Engine, found: Written) -> bool:
    return bool(found.tokens) and found.tokens[-1] in engine.tokenizer.eos_ids


def side_by_side(engine: Engine, written: dict[str, Written]) -> Table:
    """Read downwards, each order's text; beside each token, how many there were to draw from."""
    rows = []
    for n in range(max(len(found.tokens) for found in written.values())):
        cells = [n + 1, *(cell for found in written.values() for cell in _cells(engine, found, n))]
        rows.append(tuple(cells))
    return Table("what is written", ("", *(c for name in written for c in (name, "of how many"))), tuple(rows))


def _cells(engine: Engine, found: Written, n: int) -> tuple[str | int, str | int]:
    if n >= len(found.tokens):
        return "", ""
    return engine.token_text(found.tokens[n]), found.kept[n]
