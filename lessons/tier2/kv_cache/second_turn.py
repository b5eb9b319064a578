"""A second message: the whole conversation is sent again, and read again, or only what is new if the cache was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Stretch, Timeline, TimelineRow
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import plural

REPEATS = 2


@dataclass(frozen=True, slots=True)
class SecondTurn:
    """Of `tokens` the first `common` were in the cache already; the fastest of a few passes each."""

    tokens: int
    common: int
    kept_ms: float
    anew_ms: float
    difference: float


def second_turn(
    engine: Engine, prefix: Sequence[int], messages: Sequence[str], read: Sequence[int], cache: ContiguousCache
) -> SecondTurn:
    """`messages` are the first one, its answer, and the second; `read` are the tokens the cache holds."""
    ids = engine.fits([*prefix, *_conversation(engine, messages)])
    pairs = enumerate(zip(ids[:-1], read[: cache.length], strict=False))
    common = next((n for n, (a, b) in pairs if a != b), min(len(ids) - 1, cache.length))
    kept_ms, anew_ms = [], []
    for _ in range(REPEATS):
        cache.truncate(common)
        kept, ms = timed(last_logits, engine.model, ids[common:], cache)
        kept_ms.append(ms)
        anew, ms = timed(_anew, engine, ids)
        anew_ms.append(ms)
    return SecondTurn(len(ids), common, min(kept_ms), min(anew_ms), float((kept - anew).abs().max()))


def _anew(engine: Engine, ids: list[int]) -> Tensor:
    return last_logits(engine.model, ids, ContiguousCache(engine.model.config, len(ids)))


def _conversation(engine: Engine, messages: Sequence[str]) -> list[int]:
    if not engine.tokenizer.has_chat:
        return engine.encode("\n".join(messages))
    roles = ("user", "assistant", "user")
    return engine.tokenizer.chat_ids(
        [{"role": role, "content": text} for role, text in zip(roles, messages, strict=True)]
    )


def turn_timeline(found: SecondTurn) -> Timeline:
    new = found.tokens - found.common
    return Timeline(
        "until the second answer can begin",
        (
            TimelineRow("all again", (Stretch("read", found.anew_ms, "read"),), plural(found.tokens, "token")),
            TimelineRow("cache kept", (Stretch("read", found.kept_ms, "read"),), plural(new, "new token")),
        ),
    )
