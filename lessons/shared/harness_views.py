"""A conversation of the harness as a transcript: which acts were the model's and which the software's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Token, Transcript, Turn
from llm_holes.engine.harness.calls import Call, Fault
from llm_holes.engine.harness.events import CallParsed, Event, PromptFed, Stopped, TokenWritten, ToolReturned
from llm_holes.engine.harness.prompt import Piece
from llm_holes.engine.harness.tools import Result
from llm_holes.engine.harness.write import Written
from llm_holes.engine.numbers import percent, plural
from llm_holes.engine.spelling import spelt

ACTS = {
    "system": "put in the system text",
    "user": "put in the user's message",
    "assistant": "put in an answer, as if the model had written it",
    "tool": "pasted in the tool's result",
}


@dataclass
class Record:
    """Fills with events. `answer` is the text that called nothing, `call_text` the first that did or tried to. With
    `examples`, what is before the last user's message at the start is shown as one act of that name, and it and the
    system text are folded."""

    engine: Engine
    examples: str = ""
    turns: list[Turn] = field(default_factory=list)
    writing: list[Written] = field(default_factory=list)
    written: int = 0
    forced: int = 0
    given: int = 0
    call_text: str = ""
    answer: str = ""
    found: list[Call | Fault | None] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    ended: str = ""

    @property
    def tokens(self) -> int:
        """All tokens of the context so far."""
        return self.given + self.written

    def add(self, event: Event) -> None:
        match event:
            case PromptFed(pieces):
                self.turns += _given(self.engine, pieces, "" if self.given else self.examples)
                self.given += sum(len(piece.ids) for piece in pieces)
            case TokenWritten(written):
                self._wrote(written)
            case CallParsed(found):
                self._read(found)
            case ToolReturned(result):
                self.results.append(result)
                act = "refused, and says so to the model" if result.refused else "ran the tool"
                self.turns.append(Turn("software", act, result.text))
            case Stopped(reason):
                self.ended = reason
                self.writing = []
                self.turns.append(Turn("software", f"stopped: {reason}"))

    def transcript(self, title: str) -> Transcript:
        return Transcript(title, tuple(self.turns))

    def _wrote(self, written: Written) -> None:
        if self.writing:
            self.turns.pop()
        self.writing.append(written)
        self.written += 1
        self.forced += written.forced
        notes = [_note(self.engine, one) for one in self.writing]
        tokens = self.engine.tokens([one.token for one in self.writing], notes)
        forced = sum(one.forced for one in self.writing)
        self.turns.append(Turn("model", _share(len(tokens), forced), tokens=tokens))

    def _read(self, found: Call | Fault | None) -> None:
        text = "".join(one.text for one in self.writing)
        self.writing = []
        self.found.append(found)
        if found is None:
            self.answer = text
            self.turns.append(Turn("software", "read it: no call, so this is the answer"))
            return
        self.call_text = self.call_text or text
        if isinstance(found, Fault):
            self.turns.append(Turn("software", f"read it: a faulty call, {found.why}"))
        else:
            self.turns.append(Turn("software", f"read it: a call of {found.tool.name}, and the arguments fit"))


def _share(count: int, forced: int) -> str:
    return f"its turn, {forced} of its {plural(count, 'token')} forced by the grammar:" if forced else "its turn"


def _note(engine: Engine, written: Written) -> str:
    if written.forced:
        return "the grammar left no choice; the model was not asked"
    wanted = spelt(engine.token_text(written.wanted))
    rather = f", would rather have written {wanted}" * (written.wanted != written.token)
    return f"the model's own p {percent(written.p)}{rather}" if not math.isnan(written.p) else ""


def _given(engine: Engine, pieces: Sequence[Piece], examples: str) -> list[Turn]:
    """One turn per message with the marks in front of it; the last has those after it too."""
    last = max((n for n, piece in enumerate(pieces) if piece.what == "user"), default=-1)
    turns: list[Turn] = []
    marks: tuple[Token, ...] = ()
    for n, piece in enumerate(pieces):
        tokens = engine.tokens(piece.ids)
        if piece.what == "template":
            marks = tokens
            continue
        act = examples if examples and n < last and piece.what != "system" else ACTS[piece.what]
        folded = bool(examples) and act in (examples, ACTS["system"])
        if turns and turns[-1].what == act == examples:
            turns[-1] = Turn("software", act, tokens=turns[-1].tokens + marks + tokens, folded=folded)
        else:
            turns.append(Turn("software", act, tokens=marks + tokens, folded=folded))
        marks = ()
    if turns:
        turns[-1] = replace(turns[-1], tokens=turns[-1].tokens + marks)
    return turns
