"""The near end of the process that renders chat templates: started with the first one, kept, and ended when a template
has taken what it may."""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time

from llm_holes.engine.tokenizer.template_limits import SECONDS, Answer, Request

START_SECONDS = 30.0
CHUNK = 2**16
# -P: nothing that lies in the folder where the learner is stands for a module
COMMAND = (sys.executable, "-P", "-m", "llm_holes.engine.tokenizer.template_process")


class TookTooLong(Exception):
    pass


class Ended(Exception):
    """The process ended; the message says how."""


class Renderer:
    """Answers one request at a time, whichever thread asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """The id of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def ask(self, request: Request, seconds: float = SECONDS) -> Answer:
        """What the process makes of it. Raises TookTooLong, or Ended where the template brought it to its end."""
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            answer: Answer = {}
            try:
                process = self._started()
                answer = _exchange(process, line, time.monotonic() + seconds)
                return answer
            finally:
                if "text" not in answer and answer.get("fault") != "refused":
                    # what a template has filled its memory with may still be there
                    self.close()

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            self._process = subprocess.Popen(
                [*COMMAND, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
            _exchange(self._process, b"", time.monotonic() + START_SECONDS)
        return self._process


def _exchange(process: subprocess.Popen[bytes], line: bytes, end: float) -> Answer:
    """Writes the line and reads the one that answers it, until `end`. Raises TookTooLong, Ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(stdin, False)
    rest = memoryview(line)
    received = bytearray()
    try:
        while rest:
            _wait(stdin, select.POLLOUT, end)
            rest = rest[os.write(stdin, rest[:CHUNK]) :]
        while not received.endswith(b"\n"):
            _wait(stdout, select.POLLIN, end)
            if not (data := os.read(stdout, CHUNK)):
                raise BrokenPipeError
            received += data
    except BrokenPipeError:
        raise Ended(_how(process)) from None
    answer: Answer = json.loads(received)
    return answer


def _wait(fd: int, event: int, end: float) -> None:
    poll = select.poll()
    poll.register(fd, event)
    if not poll.poll(max(0.0, end - time.monotonic()) * 1e3):
        raise TookTooLong


def _how(process: subprocess.Popen[bytes]) -> str:
    status = process.wait()
    return f"by signal {-status}" if status < 0 else f"with status {status}"
