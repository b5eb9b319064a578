"""The model reads its cache through a block table, from blocks in random places."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.kvcache.block_manager import BlockManager
from llm_holes.engine.kvcache.paged import PagedMemory
from llm_holes.engine.model.cache import ContiguousCache

DECODED = 4


def decoded(engine: Engine, prompt: Sequence[int], size: int) -> tuple[list[int], bool, float, BlockManager]:
    """The first tokens of the answer through a contiguous cache, and through blocks in random places after a
    beginning that another request, a, computed: the tokens, whether all agree, the largest difference of logits, and
    which blocks are whose."""
    prompt, config = list(prompt), engine.model.config
    count = -(-len(prompt) // size) + -(-(len(prompt) + DECODED) // size)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    memory = PagedMemory(config, BlockManager(count, size, order=order))
    last_logits(engine.model, prompt, memory.allocate("a", prompt))
    plain, paged = ContiguousCache(config, len(prompt) + DECODED), memory.allocate("b", prompt)
    expected = last_logits(engine.model, prompt, plain)
    found = last_logits(engine.model, prompt[paged.length :], paged)
    tokens, equal, difference = [], True, 0.0
    for _ in range(DECODED):
        difference = max(difference, float((found - expected).abs().max()))
        equal &= int(found.argmax()) == int(expected.argmax())
        tokens.append(int(expected.argmax()))
        paged.append_slots(tokens[-1:])
        expected, found = (last_logits(engine.model, tokens[-1:], cache) for cache in (plain, paged))
    return tokens, equal, difference, memory.manager
