"""A fact hidden in a long text, and whether the model still completes it at the end (Kamradt 2023, "needle in a
haystack")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.lessons.shared.passage import passage_ids

ANSWER_TOKENS = 8


@dataclass(frozen=True)
class Needle:
    """`ids` is the whole text: haystack with the fact in it, the fact's beginning again, and its `answer` tokens."""

    ids: tuple[int, ...]
    at: int
    length: int
    answer: tuple[int, ...]

    @property
    def distance(self) -> int:
        """How far before the answer the fact ends."""
        return len(self.ids) - len(self.answer) - self.at - self.length


@dataclass(frozen=True, slots=True)
class Found:
    """`p` is the probability of the whole answer, `found` whether each of its tokens is the likeliest."""

    p: float
    found: bool


def hide(engine: Engine, fact: str, depth: float, tokens: int) -> Needle:
    """Hides `fact` at `depth` (0 is the start, 1 the end) of `tokens` tokens, or of as many as the
    context has room for. Raises InputError where the fact alone is too long.

    The answer is the last word of the fact, or the second half of a fact without spaces.
    """
    beginning, answer = split(fact)
    encode = engine.tokenizer.encode
    stated, asked, answered = encode(f"\n{fact.strip()}\n"), encode(f"\n{beginning}"), encode(answer)
    room = engine.model.config.n_ctx - len(stated) - len(asked) - len(answered)
    hay = passage_ids(engine, max(0, min(tokens, room)))
    # nothing comes before a BOS
    at = max(round(depth * len(hay)), min(len(engine.tokenizer.begin), len(hay)))
    ids = engine.fits([*hay[:at], *stated, *hay[at:], *asked, *answered])
    return Needle(tuple(ids), at, len(stated), tuple(answered))


def split(fact: str) -> tuple[str, str]:
    """The fact's beginning, and the word it ends with, without the full stop."""
    bare = fact.strip().rstrip(".!?。！？") or fact
    beginning, space, last = bare.rpartition(" ")
    if beginning:
        return beginning, space + last
    half = len(bare) // 2
    return bare[:half], bare[half:]


def guessable(engine: Engine, fact: str) -> bool:
    """Whether the beginning of the fact alone, which was hidden nowhere, makes the model finish it."""
    beginning, answer = map(engine.tokenizer.encode, (f"\n{split(fact)[0]}", split(fact)[1]))
    return look(engine, [Needle((*beginning, *answer), 0, 0, tuple(answer))])[0].found


def look(engine: Engine, needles: Sequence[Needle]) -> list[Found]:
    """Reads each text up to the answer and compares what the model expects there.

    All are one haystack with the fact at different places, the deepest last: what comes before that is read once, and
    what of it comes before the others is kept for them.
    """
    cache, found = ContiguousCache(engine.model.config), []
    if before := needles[-1].ids[: needles[-1].at]:
        engine.model.forward(torch.tensor([before]), cache, logits_to_keep=1)
    for needle in reversed(needles):
        cache.length = needle.at
        size = len(needle.answer)
        rest = torch.tensor([needle.ids[needle.at : -1]])  # what follows on the answer is not asked for
        logits = engine.model.forward(rest, cache, logits_to_keep=size).logits[0]
        answer = torch.tensor(needle.answer)
        p = logits.softmax(-1)[torch.arange(size), answer]
        found.append(Found(float(p.prod()), bool((logits.argmax(-1) == answer).all())))
    return found[::-1]


def says(engine: Engine, needle: Needle) -> str:
    """What the model writes, asked for the fact."""
    return " ".join(engine.write(needle.ids[: -len(needle.answer)], ANSWER_TOKENS).split())
