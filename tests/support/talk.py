"""A conversation with an engine process whose replies can be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from llm_holes.engine.ipc.client import Client, Died
from llm_holes.engine.ipc.messages import Cancelled, Failed, Finished, Framed, Reply


class Talk:
    """A client whose replies can be waited for."""

    def __init__(self, *command: str) -> None:
        self.replies: list[Reply | Died] = []
        self.news = asyncio.Event()
        self.client = Client(command, self._on_reply)

    def _on_reply(self, reply: Reply | Died) -> None:
        self.replies.append(reply)
        self.news.set()

    async def until(self, wanted: Callable[[Reply | Died], bool], seconds: float = 10) -> Reply | Died:
        async with asyncio.timeout(seconds):
            while True:
                for reply in self.replies:
                    if wanted(reply):
                        return reply
                self.news.clear()
                await self.news.wait()

    async def answer(self, number: int, seconds: float = 10) -> Reply | Died:
        """The last reply to run `number`."""
        last = (Finished, Cancelled, Failed)
        return await self.until(lambda r: isinstance(r, last) and r.id == number, seconds)

    async def first_frame(self, number: int) -> Framed:
        reply = await self.until(lambda r: isinstance(r, Framed) and r.id == number)
        assert isinstance(reply, Framed)
        return reply

    async def died(self, seconds: float = 10) -> Died:
        reply = await self.until(lambda r: isinstance(r, Died), seconds)
        assert isinstance(reply, Died)
        return reply

    def frames(self, number: int) -> list[Framed]:
        return [reply for reply in self.replies if isinstance(reply, Framed) and reply.id == number]

    @property
    def pid(self) -> int:
        connection = self.client._connection
        assert connection is not None
        assert connection._transport is not None
        return connection._transport.get_pid()
