"""The front end's end of the protocol: starts the engine as a child process, here or through ssh, and talks to it.

Torch-free and numpy-free. Everything happens on the event loop; nothing here blocks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llm_holes.engine.ipc.address import address_of, is_address
from llm_holes.engine.ipc.messages import (
    HEADER,
    VERSION,
    Alive,
    Cancelled,
    Failed,
    Finished,
    Hello,
    ProtocolError,
    Ready,
    Reply,
    Request,
    Run,
    Unavailable,
    body_length,
    decode_reply,
    pack,
)

STDERR_TAIL = 8192
SILENCE_SECONDS = 60.0
"""How long an engine may say nothing while it is waited for; one that works says something every other second."""
WATCH_SECONDS = 1.0
CLOSE_SECONDS = 1.5
"""How long the engine may take to leave by itself; it needs less than one."""

# The connection must never wait for a password, and must notice by itself that the network is gone.
SSH_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=2")
SSH_ADDRESS = r"ssh://(?:(?P<user>\w[\w.-]*)@)?(?P<host>\w[\w.-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?/?"


@dataclass(frozen=True)
class Died:
    """The engine is gone without having been asked to. `reason` is one sentence for people."""

    returncode: int
    stderr_tail: str
    reason: str


class Client:
    """One engine process and the connection to it.

    `on_reply` is called on the event loop, in order, with each reply; the last call for an engine that dies is `Died`.
    After `close` nothing more is delivered.
    """

    def __init__(self, command: Sequence[str], on_reply: Callable[[Reply | Died], None]) -> None:
        self.command = tuple(command)
        self._on_reply = on_reply
        self._connection: _Connection | None = None

    async def start(self) -> None:
        """Starts the engine. A command that cannot be started is reported as `Died`, like one that ends at once."""
        loop = asyncio.get_running_loop()
        connection = _Connection(loop, self._on_reply)
        self._connection = connection
        try:
            # a session of its own, so that the terminal's ctrl+c and hangup are the front end's to handle
            await loop.subprocess_exec(lambda: connection, *self.command, start_new_session=True)
        except OSError as error:
            connection.never_started(f"The engine could not be started: {self.command[0]}: {error.strerror}.")

    def send(self, request: Request) -> None:
        """Queues the request; one for an engine that is gone is dropped, as `Died` has said so. A run whose settings do
        not fit into a message is answered with `Failed`."""
        if self._connection is not None:
            self._connection.send(request)

    async def close(self) -> None:
        """Ends the engine and waits until it is gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def use(self, command: Sequence[str]) -> None:
        """What starts the engine from the next restart on."""
        self.command = tuple(command)

    async def restart(self) -> None:
        await self.close()
        await self.start()


class _Connection(asyncio.SubprocessProtocol):
    def __init__(self, loop: asyncio.AbstractEventLoop, on_reply: Callable[[Reply | Died], None]) -> None:
        self._loop = loop
        self._on_reply = on_reply
        self._closing = False
        self._transport: asyncio.SubprocessTransport | None = None
        self._received = bytearray()
        self._stderr = bytearray()
        self._open_pipes = {1, 2}
        self._fault = ""
        self._exited = asyncio.Event()
        self._loaded = False
        self._runs: set[int] = set()
        self._heard = loop.time()
        self._watching = False

    def send(self, request: Request) -> None:
        try:
            message = pack(request)
        except ProtocolError as error:
            self._deliver(Failed(request.id, str(error), usage=True))
            return
        stdin = self._stdin()
        if stdin is not None and not stdin.is_closing():
            stdin.write(message)
            if isinstance(request, Run):
                self._runs.add(request.id)
                self._watch()

    async def close(self) -> None:
        self._closing = True
        if self._transport is None:
            return
        stdin = self._stdin()
        if stdin is not None:
            stdin.close()
        # SIGKILL last: ssh inherits a mask that blocks SIGTERM while the terminal's guard is up
        for seconds, number in ((CLOSE_SECONDS, signal.SIGTERM), (0.5, signal.SIGKILL)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._exited.wait(), seconds)
                break
            self._kill(number)
        await self._exited.wait()
        self._transport.close()

    def never_started(self, reason: str) -> None:
        self._deliver(Died(127, "", reason))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self._watch()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._stderr += data
            del self._stderr[:-STDERR_TAIL]
        elif not self._fault:
            self._heard = self._loop.time()
            self._received += data
            try:
                self._decode()
            except ProtocolError as error:
                self._give_up(str(error))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_pipes.discard(fd)
        if self._exited.is_set() and not self._open_pipes:
            self._report_death()
        elif fd == 1 and not self._exited.is_set():
            # one that ends closes it a moment before
            self._loop.call_later(CLOSE_SECONDS, self._give_up, "The engine closed its output and went on.")

    def process_exited(self) -> None:
        self._exited.set()
        self._kill(signal.SIGKILL)
        if self._open_pipes:
            # what it said last may still be in the pipes; a stray grandchild may hold them open for ever
            self._loop.call_later(0.25, self._report_death)
        else:
            self._report_death()

    def _stdin(self) -> asyncio.WriteTransport | None:
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        return pipe if isinstance(pipe, asyncio.WriteTransport) else None

    def _kill(self, number: signal.Signals) -> None:
        """Signals the engine and whatever it started (a download), which share its process group."""
        if self._transport is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._transport.get_pid(), number)

    def _watch(self) -> None:
        """Looks every now and then, as long as the engine is waited for, whether there is still word of it."""
        if not self._watching:
            self._watching = True
            self._heard = self._loop.time()
            self._loop.call_later(WATCH_SECONDS, self._look)

    def _look(self) -> None:
        self._watching = False
        if self._loaded and not self._runs:
            return
        if self._loop.time() - self._heard >= SILENCE_SECONDS:
            self._give_up(f"The engine has said nothing for {SILENCE_SECONDS:.0f} seconds, so it was ended.")
        elif not self._exited.is_set():
            self._watching = True
            self._loop.call_later(WATCH_SECONDS, self._look)

    def _give_up(self, why: str) -> None:
        if not self._exited.is_set() and not self._fault:
            self._fault = why
            self._kill(signal.SIGKILL)

    def _decode(self) -> None:
        """Delivers each complete message received so far. Raises ProtocolError."""
        start = 0
        while len(self._received) - start >= HEADER.size:
            try:
                end = start + HEADER.size + body_length(bytes(self._received[start : start + HEADER.size]))
                if len(self._received) < end:
                    break
                reply = decode_reply(bytes(self._received[start + HEADER.size : end]))
            except ProtocolError as error:
                begins = bytes(self._received[start : start + 60])
                raise ProtocolError(f"The engine sent something that is no message ({error}): {begins!r}") from None
            if isinstance(reply, Hello) and reply.protocol != VERSION:
                raise ProtocolError(
                    f"The engine speaks version {reply.protocol} of the protocol and this program version {VERSION}; "
                    f"install the same llm-holes on both sides (there: {reply.versions.get('llm-holes', 'unknown')})."
                )
            self._note(reply)
            self._deliver(reply)
            start = end
        if not start:
            # the beginning of a long message, over a slow line
            self._deliver(Alive())
        del self._received[:start]

    def _note(self, reply: Reply) -> None:
        """What is no longer waited for."""
        if isinstance(reply, Ready | Unavailable):
            self._loaded = True
        elif isinstance(reply, Finished | Cancelled | Failed):
            self._runs.discard(reply.id)

    def _report_death(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        code = self._transport.get_returncode()
        tail = self._stderr.decode("utf-8", "replace").strip()
        code = -1 if code is None else code
        self._deliver(Died(code, tail, self._fault or _reason(code, tail)))
        self._transport.close()

    def _deliver(self, reply: Reply | Died) -> None:
        # through the loop, so that an exception in the receiver ends there and not in this connection
        self._loop.call_soon(self._hand_over, reply)

    def _hand_over(self, reply: Reply | Died) -> None:
        if not self._closing:
            self._on_reply(reply)


def command_for(
    engine: str,
    model: str | None = None,
    threads: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> list[str]:
    """The command that starts the engine: `local`, `ssh://[user@]host[:port]`, or an OpenAI-compatible server from
    `https://host/v1` on. Raises ValueError on any other."""
    given = {"--model": model, "--threads": threads, "--device": device, "--dtype": dtype}
    options = [part for name, value in given.items() if value for part in (name, str(value))]
    if engine == "local":
        return [sys.executable, "-m", "llm_holes.lessons.worker", *options]
    if is_address(engine):
        return _served(engine, given)
    address = re.fullmatch(SSH_ADDRESS, engine, re.ASCII)
    if address is None:
        raise ValueError(f"the engine is `local`, `ssh://[user@]host[:port]` or `https://host/v1`, not {engine!r}")
    user, host, port = address["user"], address["host"].strip("[]"), address["port"]
    target = [*(["-l", user] if user else []), *(["-p", port] if port else []), "--", host]
    # ssh hands one string to a shell on the other side
    return ["ssh", *SSH_OPTIONS, *target, shlex.join(["llm-holes", "engine", *options])]


def _served(engine: str, given: Mapping[str, object]) -> list[str]:
    """The command for a model on a server. Raises ValueError for what only a model here has."""
    url = address_of(engine).url
    for name in ("--threads", "--device", "--dtype"):
        if given[name]:
            raise ValueError(f"{name} is for a model that this program loads; a server has chosen for itself")
    model = ["--model", str(given["--model"])] if given["--model"] else []
    return [sys.executable, "-m", "llm_holes.lessons.served_worker", "--url", url, *model]


def _reason(code: int, tail: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else "unknown signal"
        out_of_memory = " The system may have run out of memory." if code == -signal.SIGKILL else ""
        return f"The engine was ended by signal {-code} ({name}).{out_of_memory}"
    last = tail.splitlines()[-1] if tail else "It said nothing."
    return f"The engine ended by itself with status {code}. {last}"
