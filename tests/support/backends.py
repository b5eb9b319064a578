"""Backends for tests: whatever a server can do is asked once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llm_holes.engine.backends.backend import Backend
from llm_holes.engine.backends.capabilities import Found, probed
from llm_holes.engine.backends.key import Key
from llm_holes.engine.backends.wire import Wire
from llm_holes.engine.frames import Frame
from llm_holes.engine.ipc.address import address_of
from llm_holes.lessons import served
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from tests.support.fake_engine import MODEL


@contextmanager
def asked(address: str, key: str = "") -> Iterator[Found]:
    """The server's model with what it can do; its connections are closed in the end."""
    wire = Wire(address_of(address), Key(key))
    try:
        yield probed(wire, None)
    finally:
        wire.close()


def served_frames(backend: Backend, lesson_id: str, preset: str = "", **settings: Any) -> list[Frame]:
    """The frames of a run as the process between front end and server makes it."""
    lesson = catalog.load()[lesson_id]
    given = {**(lesson.preset(preset).settings if preset else {}), **settings}
    return list(served.frames(lesson, backend, validated(lesson, given, MODEL)))
