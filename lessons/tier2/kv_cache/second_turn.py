"""A second message: the whole conversation is sent again, and read again, or only what is new if the cache was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Stretch, Timeline, TimelineRow
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import Timing
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import plural
from llm_holes.lessons.shared.in_turn import in_turn
from llm_holes.lessons.shared.passage import after_passage

OFTEN, SELDOM, TWICE = 5, 3, 2
MANY, PAGE = 128, 400
"""Tokens from which on a pass is timed less often, and from which on twice."""


@dataclass(frozen=True, slots=True)
class SecondTurn:
    """Of `tokens` the first `common` were in the cache already; `difference` is the largest between the logits."""

    tokens: int
    common: int
    kept: Timing
    anew: Timing
    difference: float


def second_turn(
    engine: Engine, prefix: Sequence[int], messages: Sequence[str], read: Sequence[int], cache: ContiguousCache
) -> SecondTurn:
    """`messages` are the first one, its answer, and the second; `read` are the tokens the cache holds."""
    ids = engine.fits(after_passage(engine, prefix, _conversation(engine, messages)))
    pairs = enumerate(zip(ids[:-1], read[: cache.length], strict=False))
    common = next((n for n, (a, b) in pairs if a != b), min(len(ids) - 1, cache.length))
    logits: dict[str, Tensor] = {}

    def kept() -> None:
        cache.truncate(common)
        logits["kept"] = last_logits(engine.model, ids[common:], cache)

    def anew() -> None:
        logits["anew"] = last_logits(engine.model, ids, ContiguousCache(engine.model.config, len(ids)))

    passes = {"kept": len(ids) - common, "anew": len(ids)}
    *_, times = in_turn({"kept": kept, "anew": anew}, lambda way: _repeats(passes[way]))
    difference = float((logits["kept"] - logits["anew"]).abs().max())
    return SecondTurn(len(ids), common, times["kept"], times["anew"], difference)


def _repeats(tokens: int) -> int:
    return OFTEN if tokens < MANY else SELDOM if tokens < PAGE else TWICE


def _conversation(engine: Engine, messages: Sequence[str]) -> list[int]:
    if not engine.tokenizer.has_chat:
        return engine.encode("\n".join(messages))
    roles = ("user", "assistant", "user")
    return engine.tokenizer.chat_ids(
        [{"role": role, "content": text} for role, text in zip(roles, messages, strict=True)]
    )


def turn_timeline(found: SecondTurn) -> Timeline:
    new = found.tokens - found.common
    rows = (
        ("all again", found.anew.fastest, found.tokens, "all of it"),
        ("cache kept", found.kept.fastest, new, f"{plural(found.common, 'token')} kept"),
    )
    return Timeline(
        "until the second answer can begin",
        tuple(
            TimelineRow(name, (Stretch(f"read {plural(tokens, 'token')}", ms, "read"),), note)
            for name, ms, tokens, note in rows
        ),
    )
