"""One answer, read under requests for different numbers: how likely the end is after each of its lines."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.surgery.edges import EdgesCut
from llm_holes.lessons.tier4.stopping.text_ends import NUMBER, ends_in


def places(engine: Engine, prompt: Sequence[int], message: str) -> tuple[int, ...]:
    """The positions in the prompt of the tokens of the message's number; of the whole message, where it has none."""
    pieces = [engine.tokenizer.token_bytes(token) for token in prompt]
    at = b"".join(pieces).rfind(message.encode())
    found = NUMBER.search(message)
    first, end = found.span() if found else (0, len(message))
    start, end = (at + len(message[:place].encode()) for place in (first, end))
    ends = torch.tensor([len(piece) for piece in pieces]).cumsum(0).tolist()
    if at < 0:  # a template or a tokenizer that changes the text
        return ()
    return tuple(i for i, last in enumerate(ends) if last > start and last - len(pieces[i]) < end)


def without_number(engine: Engine, prompt: Sequence[int], message: str) -> Engine:
    """The same model, whose answer may not look at the number in the message; where it has none, at the message."""
    return engine.operated([EdgesCut(places(engine, prompt, message), len(prompt))])


def boundaries(engine: Engine, ids: Sequence[int]) -> list[int]:
    """How many tokens of `ids` have been read where a sentence or a line ends, once for each end."""
    return ends_in([engine.tokenizer.token_bytes(token) for token in ids])


def p_end(engine: Engine, prompt: Sequence[int], answer: Sequence[int]) -> list[float]:
    """The probability of the end before each token of the answer and after its last."""
    logits = engine.logits([*prompt, *answer], len(answer) + 1)
    return logits.softmax(-1)[:, sorted(engine.tokenizer.eos_ids)].sum(-1).tolist()


ENDS = ("<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "</s>", "<eos>", "<end_of_turn>")
"""What tokens are called that end an answer or a text."""


def end_tokens(engine: Engine) -> list[int]:
    """The tokens at which the loop stops, the one of the chats first; then others that are called an end."""
    stopping = sorted(
        engine.tokenizer.eos_ids, key=lambda token: engine.token_text(token) != engine.tokenizer.end_token
    )
    named = [token for token in sorted(engine.tokenizer.special_ids) if engine.token_text(token) in ENDS]
    return stopping + [token for token in named if token not in stopping]


def each_p(engine: Engine, prompt: Sequence[int], answer: Sequence[int], tokens: Sequence[int]) -> list[list[float]]:
    """For each of `tokens` its probability before each token of the answer and after its last."""
    logits = engine.logits([*prompt, *answer], len(answer) + 1)
    found: list[list[float]] = logits.softmax(-1)[:, list(tokens)].T.tolist()
    return found


def ranks(engine: Engine, prompt: Sequence[int], answer: Sequence[int], tokens: Sequence[int]) -> list[list[int]]:
    """The rank of each of `tokens`, from 1, before each token of the answer."""
    logits = engine.logits([*prompt, *answer[:-1]], len(answer))
    return [((logits > logits[:, [token]]).sum(-1) + 1).tolist() for token in tokens]
