"""Passes over a prompt and single tokens, timed; and what one pass costs in bytes and operations."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import PREFILL_CHUNK, last_logits
from llm_holes.engine.measure import Timing, repeated, timed
from llm_holes.engine.model.cache import ContiguousCache

SIXTEEN = 16
FIRST_CONTEXT = 64


@dataclass
class Times:
    """What was timed so far: passes by their number of tokens, single tokens by the length of the context."""

    prompt: Timing
    written: list[int]
    token: Timing
    passes: dict[int, Timing] = field(default_factory=dict)
    steps: dict[int, Timing] = field(default_factory=dict)


def timed_answer(engine: Engine, prompt: list[int], cache: ContiguousCache, new_tokens: int) -> Times:
    """The prompt in one go, then the answer token by token, the end token or not."""
    read = []
    for _ in range(2 if len(prompt) <= PREFILL_CHUNK else 1):
        cache.length = 0
        logits, ms = timed(last_logits, engine.model, prompt, cache)
        read.append(ms)
    written, single = [int(logits.argmax())], []
    for _ in range(new_tokens):
        logits, ms = timed(last_logits, engine.model, written[-1:], cache)
        written.append(int(logits.argmax()))
        single.append(ms)
    return Times(Timing.of(read), written, Timing.of(single))


def repeats_for(count: int) -> int:
    return 4 if count <= SIXTEEN else 2


def timed_step_at(engine: Engine, cache: ContiguousCache, length: int) -> Timing:
    """One token after `length` others. What is cached is said over and over: the clock sees only how much it is."""
    while cache.length < length:
        for layer in range(engine.model.config.n_layers):
            nothing = torch.empty(1, engine.model.config.n_kv_heads, 0, engine.model.config.d_head)
            cache.append(layer, *(x[:, :, : length - cache.length] for x in cache.append(layer, nothing, nothing)))
        cache.advance(min(cache.length, length - cache.length))

    def step() -> None:
        cache.length = length
        last_logits(engine.model, [0], cache)

    step()
    timing = repeated(3, step)[1]
    cache.length = length
    return timing


def weight_bytes(engine: Engine) -> int:
    """Bytes of the matrices one pass reads whole; of an embedding table that is not also the output, it reads a row."""
    table = "" if engine.model.config.tied_embeddings else "model.embed_tokens.weight"
    return sum(w.nbytes for name, w in engine.model.weights.items() if w.dim() == 2 and name != table)


def flops(engine: Engine, tokens: int, context: float) -> float:
    """Additions and multiplications of a pass over `tokens`, each looking at `context` others, logits for the last."""
    config = engine.model.config
    head = config.d_vocab * config.d_model
    layers = weight_bytes(engine) // 4 - head
    attention = 4 * config.n_layers * config.n_heads * config.d_head * context
    return tokens * (2 * layers + attention) + 2 * head
