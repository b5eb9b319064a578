"""What a process is that serves a model to a front end: its signals, its pipes, its log."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import os
import signal
import sys
from typing import BinaryIO, TextIO

from platformdirs import user_log_path

from llm_holes.engine.ipc.server import private_pipes

LOG_BYTES = 1_000_000


def prepared() -> tuple[BinaryIO, BinaryIO]:
    """Makes this process one that serves; its stdin and stdout, which nothing else reads and writes from now on."""
    stdin, stdout = private_pipes()
    sys.stdout = sys.stderr = _Both(sys.stderr, _log_file())
    faulthandler.enable(2)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )
    return stdin, stdout


def own_signals() -> None:
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    # ctrl+c is the front end's; a handler, and not SIG_IGN, so that children can still be interrupted
    signal.signal(signal.SIGINT, lambda *_: None)
    # the front end blocks signals in its threads, and children inherit that
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _log_file() -> TextIO | None:
    """The log, emptied into `engine.log.1` once it is large; None where it cannot be written."""
    path = user_log_path("llm-holes") / "engine.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # opening a pipe waits for its other end
            return None
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_name("engine.log.1"))
        return path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError:
        return None


class _Both(io.TextIOBase):
    """stderr, which the front end keeps the end of, and the log file."""

    def __init__(self, stderr: TextIO, log: TextIO | None) -> None:
        self._files = [stderr, *([log] if log else [])]

    def write(self, text: str) -> int:
        for file in self._files:
            # a full disk or a front end that is gone must not end a run
            with contextlib.suppress(OSError):
                file.write(text)
        return len(text)

    def flush(self) -> None:
        for file in self._files:
            with contextlib.suppress(OSError):
                file.flush()

    def fileno(self) -> int:
        return self._files[0].fileno()
