"""Requests to a server, on an event loop in a thread of its own, so that one that waits can be given up at once."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import httpx2

from llm_holes.engine.backends import retry
from llm_holes.engine.backends.key import Key
from llm_holes.engine.backends.said import complaint, refused_field
from llm_holes.engine.errors import Cancelled, ModelError
from llm_holes.engine.ipc.address import Address

T = TypeVar("T")

MAX_EVENT, MAX_ANSWER, MAX_COMPLAINT = 2 * 2**20, 64 * 2**20, 64 * 2**10
"""Bytes of one event, of a whole answer, and of what is read of a refusal."""
CONNECTIONS = 32
"""The most that are ever open at once."""
CONNECT_SECONDS, SILENCE_SECONDS = 10.0, 120.0
"""How long a server may take to answer the telephone, and to say the next thing."""
LOOK_SECONDS = 0.05
GONE_SECONDS = 2.0
FORM = "text/event-stream"

NotCancelled: Callable[[], bool] = lambda: False  # noqa: E731


class Refused(ModelError):
    """The server does not do what it was asked; `status` is what it answered, `field` what of the request it says is
    the cause, if it does."""

    def __init__(self, message: str, hint: str, status: int, field: str = "") -> None:
        super().__init__(message, hint)
        self.status, self.field = status, field


class Wire:
    """The connections to one server. They are kept while a run goes on and closed by `rest`."""

    def __init__(self, address: Address, key: Key, silence: float = SILENCE_SECONDS) -> None:
        self.address, self._key, self._silence = address, key, silence
        self._tls = httpx2.create_ssl_context() if address.encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client: httpx2.AsyncClient | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()

    def get(self, url: str, is_cancelled: Callable[[], bool] = NotCancelled) -> bytes:
        """What is at a whole address. Raises ModelError."""
        return self._whole("GET", url, None, is_cancelled)

    def post(self, url: str, body: Mapping[str, Any], is_cancelled: Callable[[], bool] = NotCancelled) -> bytes:
        """The answer to a request. Raises ModelError."""
        return self._whole("POST", url, body, is_cancelled)

    def events(
        self, url: str, bodies: Sequence[Mapping[str, Any]], is_cancelled: Callable[[], bool] = NotCancelled
    ) -> Iterator[tuple[int, str, float]]:
        """The events of several answers as they come: number of the request, data, milliseconds since it was sent.

        Each request has a connection of its own; all are closed when the iterator is, however it ends. Raises
        Cancelled and ModelError.
        """
        inbox: SimpleQueue[tuple[int, str | BaseException | None, float]] = SimpleQueue()
        started = time.perf_counter()

        async def feed(number: int, body: Mapping[str, Any]) -> None:
            ended: BaseException | None = None
            try:
                async for data in self._stream(url, body):
                    inbox.put((number, data, time.perf_counter()))
            except Exception as error:
                ended = error
            inbox.put((number, ended, 0.0))

        tasks = self._begin([feed(number, body) for number, body in enumerate(bodies)])
        try:
            left = len(bodies)
            while left:
                number, data, at = _next(inbox, is_cancelled)
                if isinstance(data, BaseException):
                    raise self._told(data)
                if data is None:
                    left -= 1
                else:
                    yield number, self._key.hidden(data), (at - started) * 1e3
        finally:
            self._end(tasks)

    def rest(self) -> None:
        """Closes the connections that no request uses any more."""
        self._run(self._close())

    def close(self) -> None:
        """Ends the connections and the thread."""
        if self._thread.is_alive():
            self.rest()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(GONE_SECONDS)
            self._loop.close()

    def _whole(self, method: str, url: str, body: Mapping[str, Any] | None, is_cancelled: Callable[[], bool]) -> bytes:
        inbox: SimpleQueue[bytes | BaseException] = SimpleQueue()

        async def fetch() -> None:
            try:
                inbox.put(await self._read(method, url, body))
            except Exception as error:
                inbox.put(error)

        tasks = self._begin([fetch()])
        try:
            found = _next(inbox, is_cancelled)
        finally:
            self._end(tasks)
        if isinstance(found, BaseException):
            raise self._told(found)
        return self._key.hidden(found.decode("utf-8", "replace")).encode()

    # -- on the loop --------------------------------------------------------------------------------------------------

    async def _read(self, method: str, url: str, body: Mapping[str, Any] | None) -> bytes:
        async with self._answered(method, url, body) as response, asyncio.timeout(self._silence):
            return await _bounded(response, MAX_ANSWER)

    async def _stream(self, url: str, body: Mapping[str, Any]) -> AsyncIterator[str]:
        async with self._answered("POST", url, body) as response:
            response.encoding = "utf-8"
            events = aiter(httpx2.EventSource(response, MAX_EVENT))
            total = 0
            while True:
                async with asyncio.timeout(self._silence):
                    event = await anext(events, None)
                if event is None or event.data == "[DONE]":
                    return
                total += len(event.data)
                if total > MAX_ANSWER:
                    raise ModelError("The server's answer has no end: it was given up after 64 MiB.")
                yield event.data

    @contextlib.asynccontextmanager
    async def _answered(self, method: str, url: str, body: Mapping[str, Any] | None) -> AsyncIterator[httpx2.Response]:
        """The response to a request, once the server has taken it. Raises Refused."""
        client = self._open()
        attempt = 0
        while True:
            attempt += 1
            async with client.stream(method, url, json=body) as response:
                if response.is_success:
                    yield response
                    return
                seconds = retry.wait_before(attempt, response.status_code, response.headers.get("retry-after"))
                if seconds is None:
                    raise await self._refusal(response)
            await asyncio.sleep(seconds)

    async def _refusal(self, response: httpx2.Response) -> Refused:
        status = response.status_code
        if response.is_redirect:
            to = httpx2.URL(response.headers.get("location", "")).host or "another address"
            return Refused(
                f"The server sends its callers on to {to}, and neither text nor key is sent there.",
                "Give --engine the address that answers itself.", status,
            )  # fmt: skip
        said, field = "", ""
        with contextlib.suppress(httpx2.HTTPError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                body = await _bounded(response, MAX_COMPLAINT)
                said, field = complaint(body), refused_field(body)
        answered = f"The server answered {status} {response.reason_phrase}".strip()
        return Refused(answered + (f": {said}" if said else "."), self._hint(response), status, field)

    def _hint(self, response: httpx2.Response) -> str:
        status, after = response.status_code, response.headers.get("retry-after")
        if status in (401, 403) and not self._key:
            closed = "" if self.address.encrypted or self.address.here else " It is sent over https:// only."
            return f"Put the server's key into the environment, as LLM_HOLES_API_KEY.{closed}"
        if status in (401, 403):
            return "It does not take the key in LLM_HOLES_API_KEY or OPENAI_API_KEY."
        if status in retry.BUSY:
            return f"It asks to be left alone for {after} s." if after and after.isdecimal() else "Try again later."
        return "Is the address right, with /v1 at its end?" if status == 404 else ""

    def _open(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                headers={"Accept-Encoding": "identity", "User-Agent": "llm-holes"},
                auth=self._key,
                timeout=httpx2.Timeout(self._silence, connect=CONNECT_SECONDS, pool=None),
                limits=httpx2.Limits(max_connections=CONNECTIONS),
                verify=self._tls,
                follow_redirects=False,
                # a proxy has no way to this machine, and ~/.netrc no key for it
                trust_env=not self.address.here,
            )
        return self._client

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # -- between the threads ------------------------------------------------------------------------------------------

    def _begin(self, work: Sequence[Coroutine[Any, Any, None]]) -> list[asyncio.Task[None]]:
        async def begin() -> list[asyncio.Task[None]]:
            return [asyncio.create_task(one) for one in work]

        return self._run(begin())

    def _end(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Cancels what still goes on, and waits until its connections are closed."""

        async def end() -> None:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=GONE_SECONDS)

        self._run(end())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _told(self, error: BaseException) -> BaseException:
        """The error as a sentence without the key."""
        if isinstance(error, Refused):
            return Refused(self._key.hidden(str(error)), error.hint, error.status, error.field)
        if isinstance(error, ModelError):
            return error
        host = self.address.host
        match error:
            case httpx2.ConnectError() if "CERTIFICATE" in str(error).upper():
                why = f"The certificate of {host} is not to be trusted, so nothing was sent: {error}"
                return ModelError(self._key.hidden(why), "With a CA of your own, name its file in SSL_CERT_FILE.")
            case httpx2.ConnectError() | httpx2.ConnectTimeout():
                return ModelError(f"No server answers at {self.address.url}.", "Does it run, and is it there?")
            case httpx2.TimeoutException() | TimeoutError():
                return ModelError(f"The server said nothing for {self._silence:.0f} seconds.", "Is it overloaded?")
            case httpx2.SSEError() if "limit" in str(error):
                return ModelError("The server sent one event of more than 2 MiB, which no token is.")
            case httpx2.SSEError():
                return ModelError("The server does not stream its answers.", "A proxy in front of it may hold them.")
            case httpx2.HTTPError():
                return ModelError(
                    self._key.hidden(f"The connection broke in the middle of the answer: {error}"), "Try it again."
                )
        return error


def _next(inbox: SimpleQueue[T], is_cancelled: Callable[[], bool]) -> T:
    """The next thing that comes. Raises Cancelled."""
    while True:
        if is_cancelled():
            raise Cancelled
        try:
            return inbox.get(timeout=LOOK_SECONDS)
        except Empty:
            pass


async def _bounded(response: httpx2.Response, limit: int) -> bytes:
    """The body, of at most `limit` bytes; what is beyond is an error."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > limit:
            raise ModelError(f"The server's answer has more than {limit:,} bytes.")
    return bytes(body)
