"""The engine's end of the protocol: one experiment at a time, cancelled at once, gone when the other end goes.

The main thread loads, computes and writes. A reader thread takes requests in meanwhile, so that a Cancel or the end of
the connection is noticed in the middle of a forward pass. Torch-free: what there is to load and run is the `Host`'s.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NoReturn, Protocol

from llm_holes.engine import errors
from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc.messages import (
    HEADER,
    HEARTBEAT_SECONDS,
    VERSION,
    Alive,
    Cancelled,
    Case,
    Failed,
    Finished,
    Framed,
    Hello,
    ModelInfo,
    ProtocolError,
    Ready,
    Reply,
    Request,
    Run,
    Status,
    Unavailable,
    body_length,
    decode_request,
    pack,
)
from llm_holes.engine.ipc.versions import versions
from llm_holes.engine.orphan import signalled_as_orphan
from llm_holes.engine.work import Watch

GRACE = 0.3
"""Seconds a run gets to clean up after the other end has gone."""

log = logging.getLogger(__name__)


class Host(Protocol):
    """What the server serves."""

    def load(self, report: Callable[[Status], None]) -> ModelInfo:
        """Makes the model ready. Raises ModelError."""

    def run(
        self, lesson: str, settings: Mapping[str, Value], watch: Watch, case: Case | None
    ) -> tuple[dict[str, Value], Iterator[Frame]]:
        """The settings as they will be used, defaults filled in, and the frames to come; `watch` says when nobody wants
        them any more, and is told how far the run is. Raises InputError, Cancelled."""

    def rest(self) -> None:
        """A run has ended and none waits: gives back what it took."""


@dataclass(frozen=True)
class Job:
    run: Run
    watch: Watch = field(default_factory=Watch)


class Inbox:
    """The runs asked for and not yet answered, oldest first. A newer one stops those before it."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()

    def put(self, request: Request) -> None:
        with self._changed:
            for job in self._jobs:
                if isinstance(request, Run) or job.run.id == request.id:
                    job.watch.cancel()
            if isinstance(request, Run):
                self._jobs.append(Job(request))
                self._changed.notify_all()

    def first(self) -> Job:
        """The oldest job, as soon as there is one; it stays until `done`."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs)
            return self._jobs[0]

    @property
    def empty(self) -> bool:
        with self._changed:
            return not self._jobs

    def done(self) -> None:
        with self._changed:
            self._jobs.popleft()
            self._changed.notify_all()

    def stop_all(self, seconds: float) -> None:
        """Stops every job and waits until all are answered, at most `seconds`."""
        with self._changed:
            for job in self._jobs:
                job.watch.cancel()
            self._changed.wait_for(lambda: not self._jobs, timeout=seconds)


class Outbox:
    """The replies on their way out. While `working` is set, a sign of life goes between them, with what `job` does."""

    def __init__(self, stdout: BinaryIO) -> None:
        self.working = threading.Event()
        self.working.set()
        self.job: Job | None = None
        self._stdout, self._lock = stdout, threading.Lock()

    def send(self, reply: Reply) -> None:
        message = pack(reply)
        with self._lock:
            self._stdout.write(message)
            self._stdout.flush()

    def beat(self) -> None:
        """Sends Alive for as long as there is somebody to read it."""
        with contextlib.suppress(OSError):
            while self.working.wait():
                time.sleep(HEARTBEAT_SECONDS)
                job = self.job
                if self.working.is_set():
                    self.send(Alive(job.run.id, job.watch.doing) if job else Alive())


def serve(stdin: BinaryIO, stdout: BinaryIO, host: Host) -> NoReturn:
    """Speaks the protocol until `stdin` ends, then ends the process (status 0, or 2 after bytes that are none)."""
    # one that was stopped then goes on, finds the end of its stdin and leaves
    signalled_as_orphan(signal.SIGCONT)
    inbox, outbox = Inbox(), Outbox(stdout)
    threading.Thread(target=_read, args=(stdin, inbox), name="requests", daemon=True).start()
    send = outbox.send
    try:
        send(Hello(VERSION, versions()))
        threading.Thread(target=outbox.beat, name="heartbeat", daemon=True).start()
        refusal = _load(host, send)
        while True:
            outbox.working.clear()
            outbox.job = job = inbox.first()
            outbox.working.set()
            send(_refused(job, refusal) if refusal else _answer(job, host, send))
            inbox.done()
            if inbox.empty:
                host.rest()
    except (BrokenPipeError, ConnectionResetError):
        leave(0)


def private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """This process's stdin and stdout, moved where no library and no child process finds them: file descriptor 0 reads
    nothing from now on, and whatever is printed to 1 goes to stderr."""
    stdin, stdout = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    return stdin, stdout


def leave(status: int) -> NoReturn:
    """Ends the process now, whatever its other threads compute, and with it any download it started."""
    sys.stderr.flush()
    if os.getpgrp() == os.getpid() and _has_children():
        # first an interrupt: pip removes its temporary files on it, and this process catches it
        os.killpg(0, signal.SIGINT)
        deadline = time.monotonic() + GRACE
        while _has_children() and time.monotonic() < deadline:
            time.sleep(0.01)
        if _has_children():
            os.killpg(0, signal.SIGKILL)
    os._exit(status)


def _has_children() -> bool:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _read(stdin: BinaryIO, inbox: Inbox) -> NoReturn:
    try:
        while header := stdin.read(HEADER.size):
            if len(header) < HEADER.size:
                raise ProtocolError("the connection ended inside a message")
            length = body_length(header)
            body = stdin.read(length)
            if len(body) < length:
                raise ProtocolError("the connection ended inside a message")
            inbox.put(decode_request(body))
    except ProtocolError as error:
        print(f"llm-holes engine: {error}", file=sys.stderr)
        leave(2)
    except OSError:
        log.info("the connection broke", exc_info=True)
    inbox.stop_all(GRACE)
    leave(0)


def _load(host: Host, send: Callable[[Reply], None]) -> Unavailable | None:
    """Sends Ready and returns None, or sends and returns why there is no model."""
    try:
        send(Ready(host.load(send)))
        return None
    except errors.ModelError as error:
        log.warning("no model: %s", error)
        refusal = Unavailable(str(error), error.hint)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        log.exception("loading failed")
        message, hint = _explained(error)
        refusal = Unavailable(f"The model did not load: {message}", hint)
    send(refusal)
    return refusal


def _refused(job: Job, refusal: Unavailable) -> Reply:
    return Cancelled(job.run.id) if job.watch.is_cancelled() else Failed(job.run.id, refusal.error, refusal.hint)


def _answer(job: Job, host: Host, send: Callable[[Reply], None]) -> Reply:
    """Runs the job, sending its frames; returns its last reply."""
    number = job.run.id
    if job.watch.is_cancelled():
        return Cancelled(number)
    start = time.perf_counter()
    try:
        settings, frames = host.run(job.run.lesson, job.run.settings, job.watch, job.run.case)
        _send_frames(job, frames, send)
    except errors.Cancelled:
        return Cancelled(number)
    except errors.InputError as error:
        return Failed(number, str(error), error.hint, usage=True)
    except errors.ModelError as error:
        return Failed(number, str(error), error.hint)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        log.exception("run of %s failed", job.run.lesson)
        message, hint = _explained(error)
        return Failed(number, message, hint)
    return Finished(number, settings, (time.perf_counter() - start) * 1e3)


def _send_frames(job: Job, frames: Iterator[Frame], send: Callable[[Reply], None]) -> None:
    try:
        for frame in frames:
            if job.watch.is_cancelled():
                raise errors.Cancelled
            send(Framed(job.run.id, frame))
        if job.watch.is_cancelled():
            raise errors.Cancelled
    finally:
        close = getattr(frames, "close", None)
        if close is not None:
            close()


def _explained(error: Exception) -> tuple[str, str]:
    """One line for people about an exception nobody foresaw, and what to do about it."""
    text = " ".join(str(error).split())
    memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if memory or "can't allocate memory" in text:
        return "Not enough memory for this.", "Use a shorter text or smaller settings, or close other programs."
    return f"{type(error).__name__}: {text[:300]}" if text else type(
        error
    ).__name__, "The engine's log has the details."
