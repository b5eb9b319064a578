"""A conversation, and what software sends of it at each turn: the whole of it, from its first word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_holes.engine.frames import Context, Contexts, Part
from llm_holes.engine.harness.prompt import SYSTEM, Message, Piece, pieces

if TYPE_CHECKING:
    from llm_holes.engine.engine import Engine

REMEMBERED = "I will remember that."
SMALL_TALK = (
    ("It rained all day today.", "Then it was a good day to read."),
    ("I did, and now I am tired.", "Rest well."),
    ("I slept until noon.", "Then you needed it."),
    ("What should I cook tonight?", "A soup with carrots and lentils is quick."),
    ("I have no carrots at home.", "Then take potatoes, they do as well."),
    ("How long do they have to cook?", "About twenty minutes, if you cut them small."),
    ("The soup was too salty.", "Next time add the salt at the end."),
    ("Now I will clean the kitchen.", "Open a window while you do."),
    ("It is cold outside.", "Then put on something warm."),
    ("My train leaves at eight.", "Then set an alarm for seven."),
)
"""What is said between the fact and the question for it, written in advance."""


@dataclass(frozen=True)
class Stretch:
    """The tokens of one message with the marks in front of it, and whose message it is."""

    what: str
    ids: tuple[int, ...]


def conversation(told: str, question: str, turns: int) -> list[Message]:
    """The system text, the fact, some talk about other things, and in turn number `turns`, at least 2, the question."""
    said = [(told, REMEMBERED), *SMALL_TALK[: turns - 2]]
    answered = [m for mine, theirs in said for m in (Message("user", mine), Message("assistant", theirs, "model"))]
    return [Message("system", SYSTEM), *answered, Message("user", question)]


def at_turn(messages: Sequence[Message], turn: int) -> list[Message]:
    """What has been said when the message of turn number `turn`, from 1, is sent."""
    return list(messages[: 2 * turn])


def stretches(found: Iterable[Piece]) -> list[Stretch]:
    """A context message by message; the marks that open the answer belong to the last."""
    parts: list[Stretch] = []
    marks: tuple[int, ...] = ()
    for piece in found:
        if piece.what == "template":
            marks += piece.ids
        else:
            parts.append(Stretch(piece.what, marks + piece.ids))
            marks = ()
    return [*parts[:-1], Stretch(parts[-1].what, parts[-1].ids + marks)] if parts else []


def sent(engine: Engine, messages: Sequence[Message], turns: int) -> tuple[Context, ...]:
    """What is sent at each turn, if nothing is cut off."""
    return tuple(_context(engine, turn, at_turn(messages, turn)) for turn in range(1, turns + 1))


def with_memory_pasted(engine: Engine, ids: Sequence[int], start: int, end: int) -> Context:
    """A new chat whose tokens from `start` to `end` are memories."""
    stretches = (("system text", ids[:start]), ("memory", ids[start:end]), ("new message", ids[end:]))
    return Context("new chat", tuple(_part(engine, name, name, part) for name, part in stretches if part))


def stack(contexts: Sequence[Context], window: int) -> Contexts:
    return Contexts("what is sent to the model at each turn", tuple(contexts), window)


def tokens_in(context: Context) -> int:
    return sum(part.tokens for part in context.parts)


def _context(engine: Engine, turn: int, messages: Sequence[Message]) -> Context:
    """The oldest first; a turn that is over is one part, your message with the answer to it."""
    parts: list[Part] = []
    old: list[int] = []
    turns = 0
    found = stretches(pieces(engine.tokenizer, messages))
    for n, stretch in enumerate(found):
        if stretch.what == "system":
            parts.append(_part(engine, "system text", "system text", stretch.ids))
        elif n == len(found) - 1:
            parts.append(_part(engine, "new message", "new message", stretch.ids))
        else:
            old += stretch.ids
            if stretch.what == "assistant":
                turns += 1
                parts.append(_part(engine, f"turn {turns}", "old turns", old))
                old = []
    return Context(f"turn {turn}", tuple(parts))


def _part(engine: Engine, name: str, group: str, ids: Sequence[int]) -> Part:
    return Part(name, len(ids), group, engine.tokenizer.decode(list(ids)).strip())


def published(turns: Sequence[Context], whole: int, window: int) -> dict[str, object]:
    """What is measured of a conversation turn by turn, where `window` tokens are read at most; `whole` is how many its
    last turn has."""
    lengths = [min(tokens_in(context), window) for context in turns]
    return {
        "tokens_sent_per_turn": lengths,
        "tokens_first_turn": lengths[0],
        "tokens_last_turn": lengths[-1],
        "sent_growth": lengths[-1] / lengths[0],
        "tokens_read_in_all": sum(lengths),
        "tokens_in_conversation": whole,
        "tokens_dropped": max(whole - window, 0),
    }
