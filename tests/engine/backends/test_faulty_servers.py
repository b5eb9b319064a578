"""Whatever a server does wrong is told in a sentence, without the key, and leaves no connection."""

from __future__ import annotations

import gc
import os
import threading
import time
import traceback

import pytest

from llm_holes.engine.backends import retry
from llm_holes.engine.backends.backend import Ask, Piece, answer, stream
from llm_holes.engine.backends.http import HttpBackend
from llm_holes.engine.backends.key import Key
from llm_holes.engine.backends.wire import Wire
from llm_holes.engine.errors import Cancelled, ModelError
from llm_holes.engine.ipc.address import address_of
from tests.engine.backends.conftest import SECRET, Connect
from tests.support.faulty_server import TEXT, Faulty, faulty_server
from tests.support.processes import within
from tests.support.soak import examples

ASK = Ask("The capital of France is", 8)
TALK = Ask(({"role": "user", "content": "Hello"},), 8)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a busy server here."""
    monkeypatch.setattr(retry, "FIRST_SECONDS", 0.001)


@pytest.mark.parametrize("ask", [ASK, TALK], ids=["text", "messages"])
@pytest.mark.parametrize("fault", ["good", "split", "busy", "busy-silent"])
def test_an_answer_arrives_whole_however_its_bytes_are_cut_and_though_the_server_is_busy_first(
    connect: Connect, fault: str, ask: Ask
) -> None:
    found = answer(connect(fault), ask)
    assert found.text == TEXT
    assert found.ended.reason == "end token"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("mid-character", "broke in the middle"),
        ("cut", "broke off before its end"),
        ("wrong-json", "cannot be read"),
        ("not-streamed", "does not stream"),
        ("500", "500 Internal Server Error: the GPU fell off"),
        ("fails", "failed in the middle of its answer: out of memory"),
        ("huge", "one event of more than 2 MiB"),
        ("redirect", "on to elsewhere.invalid"),
        ("busy-long", "429 Too Many Requests: come back tomorrow"),
        ("key", "401 Unauthorized: Incorrect API key: Bearer [the key]"),
    ],
)
def test_each_fault_is_a_sentence(connect: Connect, faulty: Faulty, fault: str, sentence: str) -> None:
    with pytest.raises(ModelError) as told:
        answer(connect(fault), ASK)
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)
    assert SECRET not in "".join(traceback.format_exception(told.value)) + told.value.hint
    assert within(2, lambda: faulty.open == 0)


@pytest.mark.parametrize("fault", ["drip", "silent"])
def test_a_server_that_says_nothing_whole_is_given_up(connect: Connect, faulty: Faulty, fault: str) -> None:
    with pytest.raises(ModelError, match="said nothing"):
        answer(connect(fault, silence=0.2), ASK)
    assert within(2, lambda: faulty.open == 0)


def test_where_nobody_listens_is_said(connect: Connect) -> None:
    backend = connect("good")
    object.__setattr__(backend.wire.address, "url", "http://127.0.0.1:9/v1")
    with pytest.raises(ModelError, match="No server answers at"):
        answer(backend, ASK)


def test_a_wrong_certificate_is_not_trusted() -> None:
    with faulty_server(tls=True) as server:
        wire = Wire(address_of(server.url("good", "localhost")), Key(SECRET))
        with pytest.raises(ModelError, match="certificate of localhost is not to be trusted"):
            answer(HttpBackend(wire, "tiny-0"), ASK)
        wire.close()
        assert server.headers == []


def test_a_redirect_takes_the_key_nowhere(connect: Connect, faulty: Faulty) -> None:
    before = len(faulty.headers)
    with pytest.raises(ModelError):
        answer(connect("redirect"), ASK)
    assert len(faulty.headers) == before + 1


@pytest.mark.parametrize("fault", ["endless", "silent", "drip"])
def test_a_cancelled_run_closes_its_request(connect: Connect, faulty: Faulty, fault: str) -> None:
    asked = time.monotonic()
    backend = connect(fault).cancellable(lambda: time.monotonic() - asked > 0.1)
    with pytest.raises(Cancelled):
        answer(backend, ASK)
    assert within(2, lambda: faulty.open == 0)


def test_leaving_off_in_the_middle_closes_all_of_several_requests(connect: Connect, faulty: Faulty) -> None:
    parts = connect("endless").together([ASK] * 4)
    seen = {next(parts)[0] for _ in range(40)}
    assert seen == {0, 1, 2, 3}
    assert faulty.open == 4
    parts.close()  # type: ignore[attr-defined]
    assert within(2, lambda: faulty.open == 0)


def test_runs_and_cancels_leave_no_connection_no_thread_and_no_memory(connect: Connect, faulty: Faulty) -> None:
    backend = connect("endless")
    assert isinstance(next(stream(backend, ASK)), Piece)
    backend.wire.rest()
    assert within(2, lambda: faulty.open == 0)
    before = _held()
    for number in range(examples(10)):
        _run_or_cancel(backend, connect, number)
    backend.wire.rest()
    assert within(2, lambda: faulty.open == 0)
    assert _held() == before


def _run_or_cancel(backend: HttpBackend, connect: Connect, number: int) -> None:
    looks = iter(range(1000))
    with pytest.raises(Cancelled):
        answer(backend.cancellable(lambda: next(looks) > number % 7), ASK)


def _held() -> tuple[int, int, int]:
    """Threads, open files, and things that wait for an answer."""
    gc.collect()
    waiting = sum(type(thing).__name__ in ("Task", "AsyncClient", "Response") for thing in gc.get_objects())
    return threading.active_count(), len(os.listdir("/proc/self/fd")), waiting
