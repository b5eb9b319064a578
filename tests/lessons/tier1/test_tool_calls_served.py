"""A server's calls are run by our software, checked, and believed no more than a model's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from llm_holes.engine.backends.backend import Ask, Called, Capability, Ended, Likely, Message, Piece
from llm_holes.engine.frames import Token, Transcript
from tests.support.backends import served_frames


@dataclass
class Scripted:
    """Says one thing after the other, whatever it is asked."""

    script: list[Called | str]
    capabilities: frozenset[Capability] = frozenset({"chat", "tools"})
    name: str = "scripted"
    tokens_by: str = ""
    about_tokens: str = ""
    asked: list[Ask] = field(default_factory=list)

    def cancellable(self, is_cancelled: Callable[[], bool]) -> Scripted:
        return self

    def encode(self, text: str, specials: bool = False) -> tuple[Token, ...]:
        return ()

    def rendered(self, messages: Sequence[Message]) -> str:
        return ""

    def chances(self, text: str) -> tuple[Likely, ...]:
        return ()

    def together(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Piece | Ended]]:
        for number, ask in enumerate(asks):
            self.asked.append(ask)
            said = self.script.pop(0)
            if isinstance(said, str):
                yield number, Piece(said, (), 1.0)
                yield number, Ended("end token", 2.0)
            else:
                yield number, Ended("tool call", 2.0, calls=(said,))


def test_a_call_is_run_and_its_result_is_what_the_model_reads_next() -> None:
    backend = Scripted([Called("calculator", '{"expression": "347 * 892"}'), "It is 309524."])
    last = served_frames(backend, "tool-calls")[-1]
    assert last.measured["call_parsed"] is True
    assert last.measured["tool_result"] == "309524"
    assert last.measured["answer_uses_result"] is True
    first, second = backend.asked
    assert [tool["function"]["name"] for tool in first.tools] == ["calculator"]
    *_, call, result = second.prompt
    assert isinstance(call, dict)
    assert call["tool_calls"][0]["function"]["name"] == "calculator"
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "309524"}
    transcript = next(view for view in last.views if view.key == "what happened")
    assert isinstance(transcript, Transcript)
    assert [turn.who for turn in transcript.turns] == ["software", "software", "model", "software", "model", "software"]


def test_a_call_of_no_tool_or_with_other_arguments_runs_nothing() -> None:
    for call in (Called("rm", "{}"), Called("calculator", '{"path": "/"}'), Called("calculator", "{")):
        last = served_frames(Scripted([call, "Sorry."]), "tool-calls")[-1]
        assert last.measured["call_parsed"] is False
        assert last.measured["tool_result"] == ""


def test_a_model_that_never_stops_calling_is_stopped() -> None:
    call = Called("calculator", '{"expression": "1 + 1"}')
    last = served_frames(Scripted([call] * 9), "tool-calls", steps=2)[-1]
    assert last.measured["ended"] == "step limit"


def test_the_rate_of_valid_calls_is_that_of_the_draws() -> None:
    good, bad = Called("calculator", '{"expression": "1 + 1"}'), "I think it is 2."
    backend = Scripted([bad, good, bad, good, good], frozenset({"chat", "tools", "seed"}))
    last = served_frames(backend, "tool-calls", trials=4)[-1]
    assert last.measured["valid_call_rate_free"] == 0.75
    assert [ask.seed for ask in backend.asked[1:]] == [0, 1, 2, 3]
