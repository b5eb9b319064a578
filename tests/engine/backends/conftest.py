"""A server of each kind, and a way to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from llm_holes.engine.backends.http import HttpBackend
from llm_holes.engine.backends.key import Key
from llm_holes.engine.backends.wire import Wire
from llm_holes.engine.ipc.address import address_of
from tests.support.faulty_server import Faulty, faulty_server

SECRET = "sk-nobody-may-read-this"
Connect = Callable[..., HttpBackend]


@pytest.fixture(scope="session")
def faulty() -> Iterator[Faulty]:
    with faulty_server() as server:
        yield server


@pytest.fixture
def connect(faulty: Faulty) -> Iterator[Connect]:
    """A backend on the server with this fault; its connections are closed after the test."""
    wires: list[Wire] = []

    def connected(fault: str, silence: float = 5.0) -> HttpBackend:
        wires.append(Wire(address_of(faulty.url(fault)), Key(SECRET), silence))
        return HttpBackend(wires[-1], "tiny-0", frozenset({"completions", "chat"}))

    yield connected
    for wire in wires:
        wire.close()
