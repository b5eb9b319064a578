"""What a model writes after its call when no software stops it there: the other turns of the conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Turn
from llm_holes.engine.harness.loop import Harness
from llm_holes.engine.harness.prompt import Message, Piece, Role, continuation, pieces
from llm_holes.engine.tokenizer.tokenizer import Tokenizer

WATCHED = 80
"""Tokens after which we stop looking; the model would go on."""
ACTS: Mapping[Role, str] = {
    "assistant": "its turn",
    "tool": "a tool's result; no tool ran",
    "user": "the user's next message; no user typed it",
    "system": "another system text",
}
Marks = Mapping[Role, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Part:
    """A turn of the conversation that the model wrote: `ids` with the marks that open it, `said` without marks."""

    role: Role
    ids: tuple[int, ...]
    said: str


def written_on(harness: Harness, prompt: Sequence[int], room: int) -> Iterator[list[Part]]:
    """What the model writes after `prompt`, token by token, until it has ended a user's message too or the room is used
    up; an end token ends nothing. Raises Cancelled."""
    marks = _marks(harness.tokenizer)
    ids: list[int] = []
    for _ in range(min(WATCHED, room)):
        ids.append(int(harness.model.logits([*prompt, *ids]).argmax()))
        parts = parts_of(harness.tokenizer, marks, ids)
        yield parts
        if parts[-1].role == "user" and ids[-1] in harness.tokenizer.eos_ids:
            return


def parts_of(tokenizer: Tokenizer, marks: Marks, ids: Sequence[int]) -> list[Part]:
    """The ids cut where marks open another turn; the first turn is the answer that was asked for."""
    starts: list[tuple[int, Role]] = [(0, "assistant")]
    for n in range(len(ids)):
        role = next((role for role, mark in marks.items() if mark and tuple(ids[n : n + len(mark)]) == mark), None)
        if role is not None:
            starts.append((n, role))
    ends = [n for n, _ in starts[1:]] + [len(ids)]
    return [
        Part(role, tuple(ids[start:end]), _said(tokenizer, ids[start:end], marks[role] if start else ()))
        for (start, role), end in zip(starts, ends, strict=True)
        if end > start
    ]


def turns_of(engine: Engine, parts: Sequence[Part]) -> tuple[Turn, ...]:
    return tuple(Turn("model", ACTS[part.role], tokens=engine.tokens(part.ids)) for part in parts)


def _said(tokenizer: Tokenizer, ids: Sequence[int], mark: Sequence[int]) -> str:
    said = [token for token in ids[len(mark) :] if token not in tokenizer.eos_ids]
    return tokenizer.decode(said).strip()


def _marks(tokenizer: Tokenizer) -> Marks:
    """The ids that open a turn of each role. Where a template has no tools, their results are a user's messages."""
    tool, user = (continuation(tokenizer, [Message(role, "x")]) for role in ("tool", "user"))
    system = pieces(tokenizer, [Message("system", "x"), Message("user", "x")])
    found: dict[Role, Piece] = {"tool": tool[0], "user": user[0], "assistant": tool[-1], "system": system[0]}
    marks: dict[tuple[int, ...], Role] = {}
    for role, piece in found.items():
        marks.setdefault(_opening(tokenizer, piece), role)
    return {role: mark for mark, role in marks.items()}


def _opening(tokenizer: Tokenizer, piece: Piece) -> tuple[int, ...]:
    """The marks of a turn's beginning: what is in `piece` behind the end of the turn before."""
    ids = piece.ids
    last = max((n for n, token in enumerate(ids) if token in tokenizer.eos_ids), default=-1)
    rest = ids[last + 1 :]
    blank = next((n for n, token in enumerate(rest) if tokenizer.token_bytes(token).strip()), len(rest))
    return rest[blank:]
