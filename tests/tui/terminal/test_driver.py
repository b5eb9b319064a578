"""What is written to the terminal is written at once where it takes it, and all of it in any case."""

from __future__ import annotations

import os
import pty
import select
import threading
import tty
from collections.abc import Iterator

import pytest

from llm_holes.tui.terminal.driver import Outlet


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """Our end of a terminal and the program's."""
    ours, programs = pty.openpty()
    tty.setraw(programs)
    yield ours, programs
    os.close(ours)
    os.close(programs)


def read(ours: int, seconds: float = 0.2) -> bytes:
    data = b""
    while select.select([ours], [], [], seconds)[0]:
        data += os.read(ours, 65536)
    return data


def test_what_the_terminal_takes_needs_no_thread(ends: tuple[int, int]) -> None:
    ours, programs = ends
    outlet = Outlet(programs, "utf-8")
    assert outlet.at_once("▸ a paint")
    assert read(ours).decode() == "▸ a paint"


def test_what_it_does_not_take_the_thread_writes_from_there(ends: tuple[int, int]) -> None:
    ours, programs = ends
    outlet = Outlet(programs, "utf-8")
    text = "".join(f"{n:08d}" for n in range(50_000))
    assert not outlet.at_once(text)
    thread = threading.Thread(target=outlet.write, args=(text,))
    thread.start()
    arrived = read(ours, 1)
    thread.join(5)
    assert arrived.decode() == text
    assert outlet.written == 1
    assert outlet.at_once("after it")
    assert read(ours) == b"after it"


def test_a_file_is_left_to_the_thread() -> None:
    ours, programs = os.pipe()
    outlet = Outlet(programs, "utf-8")
    assert not outlet.at_once("text")
    outlet.write("text")
    assert os.read(ours, 100) == b"text"
    os.close(ours)
    os.close(programs)
