"""A slow line between two programs that speak TCP: what is sent waits in it without end, as in routers."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

PIECE = 200
"""Bytes that arrive together."""
LOOK = 0.002


class SlowLine:
    """A port on loopback that leads to another one.

    Args:
        to: the port it leads to.
        rate: bytes a second in each direction, once `slow` is set.
        delay: seconds one way, likewise.
    """

    def __init__(self, to: int, rate: float, delay: float) -> None:
        self.slow, self.port = False, 0
        self._to, self._rate, self._delay = to, rate, delay

    async def listen(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting: deque[tuple[float, bytes]] = deque()
        taking = asyncio.create_task(self._take(reader, waiting))
        try:
            while waiting or not taking.done():
                now = asyncio.get_running_loop().time()
                while waiting and waiting[0][0] <= now:
                    writer.write(waiting.popleft()[1])
                await asyncio.sleep(LOOK)
        finally:
            taking.cancel()
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, waiting: deque[tuple[float, bytes]]) -> None:
        loop, free = asyncio.get_running_loop(), 0.0
        while data := await reader.read(PIECE):
            free = max(free, loop.time()) + (len(data) / self._rate if self.slow else 0)
            waiting.append((free + (self._delay if self.slow else 0), data))


@contextmanager
def slow_line(to: int, rate: float, delay: float) -> Iterator[SlowLine]:
    """The line, which is fast until its `slow` is set."""
    line, ready, loop = SlowLine(to, rate, delay), threading.Event(), asyncio.new_event_loop()

    def serve() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(line.listen(ready))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join()
        loop.close()
