"""The app's seam to the engine: what it needs of a client, so that tests can put a recorded engine in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from llm_holes.engine.ipc.client import Client, Died
from llm_holes.engine.ipc.messages import Reply, Request

__all__ = ["Client", "Died", "Link", "LinkFactory", "OnReply", "to_process"]

OnReply = Callable[[Reply | Died], None]


class Link(Protocol):
    """A connection to one engine. Replies, and its death, arrive through the `on_reply` it was made with."""

    async def start(self) -> None: ...

    def send(self, request: Request) -> None: ...

    async def restart(self) -> None: ...

    def use(self, command: Sequence[str]) -> None:
        """What starts the engine from the next restart on."""

    async def close(self) -> None: ...


LinkFactory = Callable[[OnReply], Link]


def to_process(command: list[str]) -> LinkFactory:
    """Links to an engine process started with `command`."""
    return lambda on_reply: Client(command, on_reply)
