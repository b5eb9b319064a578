"""A field that a model refuses is left out or called otherwise from then on, and what it would have done is told."""

from __future__ import annotations

import pytest

from llm_holes.engine.backends.backend import DRAWN, Answer, Ask, Piece, answer
from llm_holes.engine.backends.capabilities import probed
from llm_holes.engine.backends.http import HttpBackend
from llm_holes.engine.backends.reference import answers, doctor
from llm_holes.engine.backends.said import refused_field
from llm_holes.engine.backends.stops import Stopping
from llm_holes.engine.backends.wire import Refused
from llm_holes.engine.frames import Text
from tests.engine.backends.conftest import Connect
from tests.support.faulty_server import TEXT, Faulty

HI = ({"role": "user", "content": "Hi"},)


def asked(connect: Connect, fault: str) -> HttpBackend:
    return probed(connect(fault).wire, None).backend


def sent(faulty: Faulty, backend: HttpBackend, ask: Ask) -> tuple[Answer, list[dict[str, object]]]:
    """The answer, and the requests that it took."""
    before = len(faulty.bodies)
    return answer(backend, ask), faulty.bodies[before:]


def test_a_model_that_refuses_much_is_asked_without_it(connect: Connect, faulty: Faulty) -> None:
    backend = asked(connect, "newest")
    assert backend.capabilities == {"chat", "tools", "usage", "cached tokens"}
    given, bodies = sent(faulty, backend, Ask(HI, 2, top=5, seed=3))
    assert given.text == " Paris,"
    assert [set(body) for body in bodies] == [
        {"model", "max_completion_tokens", "stream", "stream_options", "messages"}
    ]  # fmt: skip
    assert bodies[0]["max_completion_tokens"] == 2


def test_what_was_refused_once_is_not_sent_again_by_any_run(connect: Connect, faulty: Faulty) -> None:
    backend = asked(connect, "newest")
    ask = Ask(HI, 6, stop=("né",))
    first, tried = sent(faulty, backend.cancellable(lambda: False), ask)
    again, once = sent(faulty, backend, ask)
    assert [len(tried), len(once)] == [2, 1]
    assert first.text == again.text == " Paris, "
    assert again.ended.reason == "end token"


@pytest.mark.parametrize("together", [1, 3])
def test_several_at_once_are_asked_again_together(connect: Connect, faulty: Faulty, together: int) -> None:
    backend = connect("newest")
    found = [*backend.together([Ask(HI, 1)] * together)]
    assert sum(isinstance(part, Piece) for _, part in found) == together


@pytest.mark.parametrize("fault", ["in-words", "strict"])
def test_a_refusal_in_words_or_of_another_form_is_understood(connect: Connect, faulty: Faulty, fault: str) -> None:
    backend = asked(connect, fault)
    assert "greedy" in backend.capabilities
    given, bodies = sent(faulty, backend, Ask(HI, 6, stop=(",",)))
    assert given.text == (" Paris" if fault == "strict" else TEXT)
    assert ("max_completion_tokens" in bodies[-1]) is (fault == "in-words")


def test_a_refusal_that_nothing_helps_is_told_and_nothing_is_remembered(connect: Connect) -> None:
    backend = connect("stubborn")
    for _ in range(2):
        with pytest.raises(Refused, match="temperature"):
            answer(backend, Ask(HI, 1))
    assert backend.body(Ask(HI, 1))["temperature"] == 0.0


def test_a_heat_that_is_refused_leaves_the_others(connect: Connect, faulty: Faulty) -> None:
    backend = asked(connect, "cold")
    assert "greedy" in backend.capabilities
    for temperature, is_sent in ((2.0, False), (0.0, True), (0.7, True)):
        _, bodies = sent(faulty, backend, Ask(HI, 1, temperature=temperature))
        assert [body.get("temperature") == temperature for body in bodies] == [is_sent]


def test_where_answers_are_drawn_the_doctor_says_so_and_compares_no_texts(connect: Connect) -> None:
    backend = asked(connect, "newest")
    last = [*doctor(backend)][-1]
    assert DRAWN in [view.text for view in last.views if isinstance(view, Text)]
    assert "answers that differ when asked again" not in last.measured
    assert [*answers(backend)][-1].measured == {}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"error": {"message": "no", "param": "stop"}}', "stop"),
        ('{"message": "no", "param": "seed"}', "seed"),
        ('{"detail": [{"loc": ["body", "logprobs"], "msg": "Extra inputs"}]}', "logprobs"),
        ('{"error": "`temperature` must be positive"}', "temperature"),
        ('{"error": {"param": null, "message": "\'max_tokens\': use \'max_completion_tokens\'"}}', "max_tokens"),
        ('{"error": {"param": 5, "message": "no"}}', ""), ('{"detail": []}', ""), ("[[", ""), ("\0", ""), ("", ""),
    ],
)  # fmt: skip
def test_the_field_is_where_servers_name_it(text: str, field: str) -> None:
    assert refused_field(text.encode()) == field


@pytest.mark.parametrize(
    ("stops", "pieces", "shown"),
    [
        (("STOP",), ["a", "ST", "OP", "b"], "a"),
        (("STOP",), ["aS", "Tb", "ST", "ay"], "aSTbSTay"),
        (("STOP",), ["ends with ST"], "ends with ST"),
        (("bc", "b"), ["abc"], "a"),
        (("a",), ["abc"], ""),
        (("",), ["abc"], "abc"),
        ((), ["a", "b"], "ab"),
    ],
)
def test_an_answer_ends_before_its_stop_text(stops: tuple[str, ...], pieces: list[str], shown: str) -> None:
    stopping = Stopping(stops)
    given = [one for text in pieces for one in stopping.take(Piece(text, (), 0.0))]
    assert "".join(one.text for one in [*given, *stopping.rest()]) == shown
