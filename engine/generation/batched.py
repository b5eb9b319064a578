"""Answers to prompts of different lengths, side by side: a row still reading its prompt sits beside one that writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder


def answers(
    model: Decoder, prompts: Sequence[Sequence[int]], ranks: Sequence[int], limit: int, ends: Callable[[int], bool]
) -> Iterator[list[list[int]]]:
    """What the model writes to each prompt, after every pass: at most `limit` tokens, the one that `ends` included.

    A row begins with its prompt's likeliest next token but `ranks[row]` and goes on with the likeliest ones, so rows of
    one prompt can differ. Raises Cancelled.
    """
    texts = [list(prompt) for prompt in prompts]
    found: list[list[int]] = [[] for _ in texts]
    width = min(map(len, texts))
    cache = ContiguousCache(model.config, max(map(len, texts)) + limit, batch=len(texts))
    pending = torch.tensor([text[:width] for text in texts])
    while True:
        logits = model.forward(pending, cache, logits_to_keep=1).logits[:, -1]
        for row, text in enumerate(texts):
            if len(text) == cache.length and not _ended(found[row], limit, ends):
                token = (
                    int(logits[row].topk(ranks[row] + 1).indices[-1]) if not found[row] else int(logits[row].argmax())
                )
                text.append(token)
                found[row].append(token)
        yield found
        if all(_ended(answer, limit, ends) for answer in found):
            return
        place = cache.length
        pending = torch.tensor([[text[place] if place < len(text) else text[-1]] for text in texts])


def _ended(answer: Sequence[int], limit: int, ends: Callable[[int], bool]) -> bool:
    return len(answer) >= limit or bool(answer and ends(answer[-1]))
