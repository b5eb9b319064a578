"""The one gate of stderr: nothing printed there, a message, an argument or a traceback, can steer the terminal."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from llm_holes.tui.draw.sanitize import clean


class Gate(io.TextIOWrapper):
    """Text goes on as the marks that stand for what a terminal would obey."""

    def write(self, text: str) -> int:
        super().write(clean(text))
        return len(text)


@contextmanager
def gated() -> Iterator[None]:
    """Everything on stderr passes the gate, also an error that nobody expected; that one ends with status 1."""
    ungated = sys.stderr
    if not isinstance(ungated, io.TextIOWrapper):
        yield
        return
    # a terminal without Unicode gets ? for our marks
    gate = Gate(ungated.buffer, encoding=ungated.encoding, errors="replace", line_buffering=True)
    sys.stderr = gate
    try:
        yield
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None
    finally:
        sys.stderr = ungated
        gate.flush()
        gate.detach()


def steer(sequence: str) -> None:
    """Writes our own control sequence, past the gate."""
    sys.stderr.flush()
    os.write(sys.stderr.fileno(), sequence.encode())
