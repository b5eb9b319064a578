"""Retrieval by the model's own states, prompts with something pasted in, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.continuations import prefill, score_continuations
from llm_holes.engine.generation.generate import Limits
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.prompt import SYSTEM, Message, ids_of, pieces
from llm_holes.engine.measure import Timing, timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import in_all_layers, tap

REPEATS = 5


@dataclass(frozen=True)
class Found:
    """A memory and how near it is to the question."""

    text: str
    cosine: float
    dot: float


@dataclass(frozen=True)
class Prompt:
    """What the model is given; the tokens from `start` to `end` are the pasted memories."""

    ids: list[int]
    start: int = 0
    end: int = 0


@dataclass(frozen=True)
class Recall:
    """What came of a prompt: the probability of the fact where it belongs, and the tokens of the free answer."""

    p: float
    answer: tuple[int, ...] = ()


def embedding(engine: Engine, layer: int, text: str) -> Tensor:
    """The mean [d_model] of the text's states after `layer`, without its first token's: that one is far longer than
    all others and says little about the text. The layers above are not run."""
    ids, point = torch.tensor([engine.encode(text)]), tap(layer, "hook_resid_post")
    states = torch.as_tensor(engine.model.up_to(layer).forward(ids, taps=[point], logits_to_keep=1).acts[point][0])
    return states[1:].mean(0) if len(states) > 1 else states[0]


def nearest(engine: Engine, layer: int, question: str, memories: Sequence[str], mean_removed: bool) -> list[Found]:
    """The memories by their cosine with the question, the nearest first. What all the memories have in common, their
    mean, is taken from every vector before, unless there is nothing else."""
    asked, own = embedding(engine, layer, question), [embedding(engine, layer, text) for text in memories]
    dots = [float(asked @ vector) for vector in own]
    common = torch.stack(own).mean(0) if mean_removed and len(own) > 1 else torch.zeros_like(asked)
    cosines = [float(torch.cosine_similarity(asked - common, vector - common, dim=0)) for vector in own]
    return sorted(map(Found, memories, cosines, dots), key=lambda found: -found.cosine)


def asked(engine: Engine, question: str, memories: Sequence[str]) -> Prompt:
    """A new conversation with the question, the memories pasted in front of it."""
    if not memories:
        return Prompt(ids_of(pieces(engine.tokenizer, [Message("system", SYSTEM), Message("user", question)])))
    pasted = "".join(f"Memory: {text}\n" for text in memories)
    found = pieces(engine.tokenizer, [Message("system", SYSTEM), Message("user", f"{pasted}Question: {question}")])
    user = next(n for n, piece in enumerate(found) if piece.what == "user")
    start = len(ids_of(found[:user]))
    return Prompt(ids_of(found), start, start + len(engine.tokenizer.encode(pasted)))


def recall(
    engine: Engine, prompt: Prompt, opening: str, fact: str, new_tokens: int, start: ContiguousCache | None = None
) -> Recall:
    """`opening` begins the answer for the model, so that there is one place for the fact; the free answer has none."""
    p = chance(engine, prompt.ids, opening, fact, start)
    answer = engine.generate(prompt.ids, SamplingParams(), Limits(new_tokens)) if new_tokens else ()
    return Recall(p, tuple(step.token for step in answer))


def chance(engine: Engine, ids: Sequence[int], opening: str, word: str, start: ContiguousCache | None = None) -> float:
    """P of the word where the answer has begun with `opening`; `start` may hold the first tokens, read already. Raises
    InputError if it does not fit the context."""
    place, wanted = [*ids, *engine.tokenizer.encode(opening)], engine.tokenizer.encode(f" {word}")
    engine.fits([*place, *wanted])
    read = ContiguousCache(engine.model.config, len(place)) if start is None else start
    return score_continuations(engine.model, read, [place[read.length :]], [wanted])[0].p


def prefills(engine: Engine, prompts: Sequence[Prompt]) -> list[Timing]:
    """How long it takes to read each prompt. They take turns, so that what slows the machine slows all of them."""
    rounds = [[timed(prefill, engine.model, prompt.ids)[1] for prompt in prompts] for _ in range(REPEATS)]
    return [Timing.of(list(ms)) for ms in zip(*rounds, strict=True)]


def attention(engine: Engine, prompt: Prompt, opening: str) -> list[float]:
    """How much the place of the fact reads of each token of the prompt and the opening: mean over layers and heads."""
    ids = prompt.ids + engine.tokenizer.encode(opening)
    cache = prefill(engine.model, ids[:-1])
    taps = in_all_layers("attn.hook_pattern", engine.model.config.n_layers)
    acts = engine.model.forward(torch.tensor([ids[-1:]]), cache, taps).acts
    weights = sum(acts[name][0, :, -1].mean(0) for name in sorted(taps)) / len(taps)
    return [float(weight) for weight in weights]
