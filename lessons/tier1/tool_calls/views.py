"""The conversation as a transcript, what was read for each answer, and the first answer drawn again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Context, Contexts, Part, Scalar, Table
from llm_holes.engine.harness.events import Event, PromptFed, TokenWritten
from llm_holes.engine.harness.prompt import Piece
from llm_holes.engine.numbers import exact, plural
from llm_holes.lessons.shared.trials import Trial
from llm_holes.lessons.tier1.tool_calls.given import GROUPS


@dataclass
class Readings:
    """Fills with the events of a conversation: what each answer of the model was made from. `new` are the tokens that
    were put in after the answer before."""

    engine: Engine
    parts: list[Part] = field(default_factory=list)
    read: list[list[Part]] = field(default_factory=list)
    new: list[list[Part]] = field(default_factory=list)
    writing: list[int] = field(default_factory=list)

    def add(self, event: Event) -> None:
        match event:
            case PromptFed(pieces):
                self._close()
                added = _parts(self.engine, pieces)
                self.parts += added
                self.read.append(list(self.parts))
                self.new.append(added)
            case TokenWritten(written):
                self.writing.append(written.token)

    def wrote(self, ids: Sequence[int]) -> None:
        """All that is written so far after the last reading."""
        self.writing = list(ids)

    @property
    def again(self) -> int:
        """Tokens of the last reading that had been in the context already, the model's own among them."""
        return _length(self.read[-1]) - _length(self.new[-1]) if self.read else 0

    @property
    def added(self) -> int:
        """Tokens that were new in the last reading."""
        return _length(self.new[-1]) if self.new else 0

    def view(self) -> Contexts:
        rows = [Context(f"for answer {n}", tuple(parts)) for n, parts in enumerate(self.read, 1)]
        kept = [Context(f"{n}, new in it", tuple(parts)) for n, parts in enumerate(self.new, 1)][1:]
        return Contexts("what the model was given to read, before each of its answers", (*rows, *kept))

    def _close(self) -> None:
        if self.writing:
            self.parts.append(_part(self.engine, "assistant", self.writing))
        self.writing = []


def _parts(engine: Engine, pieces: Sequence[Piece]) -> list[Part]:
    """A part for each message, with the marks in front of it; the last has those after it too."""
    parts: list[Part] = []
    marks: list[int] = []
    last_user = max((n for n, piece in enumerate(pieces) if piece.what == "user"), default=0)
    for n, piece in enumerate(pieces):
        if piece.what == "template":
            marks += piece.ids
            continue
        role = "example" if n < last_user and piece.what != "system" else piece.what
        parts.append(_part(engine, role, [*marks, *piece.ids]))
        marks = []
    if marks and parts:
        last = parts.pop()
        parts.append(Part(last.name, last.tokens + len(marks), last.group, last.text + engine.tokenizer.decode(marks)))
    return parts


def _part(engine: Engine, role: str, ids: Sequence[int]) -> Part:
    return Part(GROUPS[role], len(ids), GROUPS[role], engine.tokenizer.decode(ids))


def _length(parts: Sequence[Part]) -> int:
    return sum(part.tokens for part in parts)


def trials_table(done: Mapping[str, Sequence[Trial]], temperature: float, count: int) -> Table:
    rows: list[tuple[Scalar, ...]] = [
        (mode.split()[0], "✓" if one.valid else "✗", "✓" if one.ran else "✗", one.text)
        for mode, found in done.items()
        for one in found
    ]
    title = f"the first answer again, temperature {exact(temperature)}, {plural(count, 'seed')} each"
    return Table(title, ("", "call", "tool ran", "what it wrote"), tuple(rows))
