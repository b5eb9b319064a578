"""A server's calls are run by our software, checked, and believed no more than a model's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from llm_holes.engine.backends.backend import Ask, Called, Capability, Ended, Likely, Message, Piece
from llm_holes.engine.backends.capabilities import Found
from llm_holes.engine.backends.wire import Refused
from llm_holes.engine.frames import Contexts, Frame, Table, Token, Transcript, Turn
from llm_holes.lessons.tier1.tool_calls.served import UNTOLD
from llm_holes.lessons.tier1.tool_calls.served_talk import REFUSED
from tests.support.backends import served_frames


@dataclass
class Scripted:
    """Says one thing after the other, whatever it is asked."""

    script: list[Called | str | Refused]
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

    def chances(self, prompt: str | Sequence[int]) -> tuple[Likely, ...]:
        return ()

    def together(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Piece | Ended]]:
        for number, ask in enumerate(asks):
            self.asked.append(ask)
            said = self.script.pop(0)
            if isinstance(said, Refused):
                raise said
            if isinstance(said, str):
                yield number, Piece(said, (), 1.0)
                yield number, Ended("end token", 2.0)
            else:
                yield number, Ended("tool call", 2.0, calls=(said,))


def messages(ask: Ask) -> Sequence[Message]:
    assert not isinstance(ask.prompt, str)
    return ask.prompt


def turns(frame: Frame) -> Sequence[Turn]:
    transcript = next(view for view in frame.views if view.key == "what happened")
    assert isinstance(transcript, Transcript)
    return transcript.turns


CALL = '{"name": "calculator", "arguments": {"expression": "347 * 892"}}'
NONE = "I do not call."


def test_our_harness_reads_the_call_in_a_text_and_gives_the_result_as_a_message() -> None:
    backend = Scripted([CALL, "It is 309524."], frozenset({"chat"}))
    last = served_frames(backend, "tool-calls", examples=1)[-1]
    assert last.measured["call_text"] == CALL
    assert (last.measured["call_parsed"], last.measured["tool_result"]) == (True, "309524")
    assert last.measured["answer_uses_result"] is True
    first, second = backend.asked
    assert [one["role"] for one in messages(first)] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert [one["content"] for one in messages(second)[-2:]] == [CALL, "309524"]
    assert not first.tools


def test_where_the_server_takes_no_tools_it_is_said_why_there_are_none_beside_ours() -> None:
    last = served_frames(Scripted([NONE], frozenset({"chat"})), "tool-calls")[-1]
    assert turns(last)[-1].what == UNTOLD


def test_a_call_that_the_server_reads_is_run_and_its_result_is_what_the_model_reads_next() -> None:
    backend = Scripted([NONE, Called("calculator", '{"expression": "347 * 892"}'), "It is 309524."])
    last = served_frames(backend, "tool-calls")[-1]
    assert "ran the tool" in [turn.what for turn in turns(last)]
    assert last.caption.endswith("With the server's own tools: 309524.")
    _, first, second = backend.asked
    assert [tool["function"]["name"] for tool in first.tools] == ["calculator"]
    *_, call, result = messages(second)
    assert call["tool_calls"][0]["function"]["name"] == "calculator"
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": "309524"}


@pytest.mark.parametrize("call", [Called("rm", "{}"), Called("calculator", '{"path": "/"}'), Called("calculator", "{")])
def test_a_call_of_no_tool_or_with_other_arguments_runs_nothing(call: Called) -> None:
    last = served_frames(Scripted([NONE, call, "Sorry."]), "tool-calls")[-1]
    assert REFUSED in [turn.what for turn in turns(last)]
    assert "ran the tool" not in [turn.what for turn in turns(last)]


@pytest.mark.parametrize("text", ['{"name": "rm", "arguments": {}}', "{", '{"name": "calculator", "arguments": 1}'])
def test_a_text_that_is_nearly_a_call_runs_nothing(text: str) -> None:
    last = served_frames(Scripted([text, "Sorry."], frozenset({"chat"})), "tool-calls")[-1]
    assert (last.measured["call_text"], last.measured["call_parsed"]) == (text, False)
    assert REFUSED in [turn.what for turn in turns(last)]


def test_a_model_that_never_stops_calling_is_stopped() -> None:
    call = Called("calculator", '{"expression": "1 + 1"}')
    last = served_frames(Scripted([CALL] * 2 + [call] * 2), "tool-calls", steps=2)[-1]
    assert last.measured["ended"] == "step limit"
    assert [turn.what for turn in turns(last)].count("stopped: step limit") == 2


def test_a_server_that_refuses_its_own_tools_is_quoted() -> None:
    backend = Scripted([NONE, Refused("The server answered 400: no parser", "", 400)])
    assert turns(served_frames(backend, "tool-calls")[-1])[-1].text == "The server answered 400: no parser"


def test_the_rate_of_valid_calls_is_that_of_the_draws_with_our_harness() -> None:
    theirs = Called("calculator", '{"expression": "1 + 1"}')
    script: list[Called | str | Refused] = [NONE, NONE, CALL, theirs, NONE, NONE, CALL, NONE, CALL, theirs]
    backend = Scripted(script, frozenset({"chat", "tools", "seed"}))
    last = served_frames(backend, "tool-calls", trials=4)[-1]
    assert last.measured["valid_call_rate_free"] == 0.75
    assert [ask.seed for ask in backend.asked[2:]] == [0, 0, 1, 1, 2, 2, 3, 3]
    table = next(view for view in last.views if view.key == "first answer again")
    assert isinstance(table, Table)
    assert [(row[0], row[1]) for row in table.rows] == [
        ("ours", "✓"), ("ours", "✗"), ("ours", "✓"), ("ours", "✓"),
        ("server's", "✓"), ("server's", "✗"), ("server's", "✗"), ("server's", "✓"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def last(llama: Found) -> Frame:
    """What a run on llama.cpp's server ends with."""
    return served_frames(llama.backend, "tool-calls", trials=1)[-1]


def test_our_harness_around_llama_cpp_does_what_it_does_around_the_engine(last: Frame) -> None:
    """That both measure the same is compared in `just soak`."""
    assert last.measured["call_text"] == CALL
    assert last.measured["answer"] == "The answer is 309524."
    assert [len(turn.tokens) for turn in turns(last) if turn.who == "model"][:2] == [24, 11]


def test_what_each_answer_is_made_from_is_shown_where_the_whole_text_is_known(last: Frame) -> None:
    shown = next(view for view in last.views if view.key == "what is read")
    assert isinstance(shown, Contexts)
    first, second, new = (one.parts for one in shown.contexts)
    assert [part.group for part in second[-3:]] == ["your message", "model", "result of a tool"]
    assert (len(second), new) == (len(first) + 2, second[-1:])
    assert "".join(part.text for part in second).startswith("".join(part.text for part in first))
    assert last.measured["readings"] == 2
    assert last.measured["tokens_read_again"] + last.measured["tokens_new"] == sum(part.tokens for part in second)
