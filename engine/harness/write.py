"""One answer, token by token: the model chooses, or the grammar leaves nothing to choose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from llm_holes.engine.device import clock
from llm_holes.engine.generation.generate import TextStream
from llm_holes.engine.generation.grammar import Constraint
from llm_holes.engine.generation.sampling import SamplingParams, generator, masked, sample
from llm_holes.engine.tokenizer.tokenizer import Detokenizer, Tokenizer

Stop = Literal["end token", "grammar", "max tokens"]


class LanguageModel(Protocol):
    """All that is asked of a model here."""

    def logits(self, ids: Sequence[int]) -> Tensor:
        """Logits [d_vocab] after `ids`."""


@dataclass(frozen=True, slots=True)
class Written:
    """One token of an answer. `p` is the model's own probability of it and `wanted` the model's favourite, both before
    any grammar; of a `forced` token (the grammar left no choice, so the model was not asked) they are NaN and -1."""

    token: int
    text: str
    p: float
    wanted: int
    forced: bool
    ms: float
    stop: Stop | None = None


def write(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: Sequence[int],
    params: SamplingParams,
    max_new_tokens: int,
    constraint: Constraint | None = None,
) -> Iterator[Written]:
    """Continues `prompt`. The last token has a `stop`; a grammar that is complete needs no end token."""
    rng = generator(params.seed)
    out = TextStream(Detokenizer(tokenizer), ())
    ids = list(prompt)
    forced: list[int] = []
    for count in range(1, max_new_tokens + 1):
        started = clock()
        if constraint is not None and not forced:
            forced = constraint.forced()
        if forced:
            token, p, wanted, given = forced.pop(0), math.nan, -1, True
        else:
            logits = model.logits(ids)
            chosen_from = logits if constraint is None else masked(logits, constraint.allowed())
            token, wanted, given = sample(chosen_from, params, rng), int(logits.argmax()), False
            p = float(logits.softmax(-1)[token])
        ms = (clock() - started) * 1e3
        ids.append(token)
        ended = token in tokenizer.eos_ids
        if constraint is not None and not ended:
            constraint.feed(token)
        stop: Stop | None = "end token" if ended else None
        if stop is None and constraint is not None and constraint.finished:
            stop = "grammar"
        if stop is None and count == max_new_tokens:
            stop = "max tokens"
        text = "" if ended else out.feed(token)
        yield Written(token, text + (out.flush() if stop else ""), p, wanted, given, ms, stop)
        if stop:
            return
