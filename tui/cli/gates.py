"""The gates of the standard streams: nothing printed on stderr, a message, an argument or a traceback, can steer the
terminal; a terminal that lacks characters gets those it has."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llm_holes.tui.draw.sanitize import clean
from llm_holes.tui.terminal.ascii import written_in
from llm_holes.tui.terminal.environment import charset


class Gate(io.TextIOWrapper):
    """A stream whose text is changed on its way."""

    def __init__(self, stream: io.TextIOWrapper, change: Callable[[str], str]) -> None:
        # an encoding without our marks gets ?
        super().__init__(stream.buffer, encoding=stream.encoding, errors="replace", line_buffering=True)
        self._change = change

    def write(self, text: str) -> int:
        super().write(self._change(text))
        return len(text)


@contextmanager
def gated() -> Iterator[None]:
    """Everything printed passes the gates, also an error that nobody expected; that one ends with status 1."""
    stdout, stderr = sys.stdout, sys.stderr
    written = written_in(charset(os.environ))
    gates: list[Gate] = []
    if isinstance(stderr, io.TextIOWrapper):
        plain = written if stderr.isatty() else str
        sys.stderr = gate = Gate(stderr, lambda text: plain(clean(text)))
        gates.append(gate)
    if isinstance(stdout, io.TextIOWrapper) and stdout.isatty():
        sys.stdout = gate = Gate(stdout, written)
        gates.append(gate)
    try:
        yield
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
    finally:
        sys.stdout, sys.stderr = stdout, stderr
        for gate in gates:
            gate.flush()
            gate.detach()


def steer(sequence: str) -> None:
    """Writes our own control sequence, past the gate."""
    sys.stderr.flush()
    os.write(sys.stderr.fileno(), sequence.encode())
