"""The key a server wants: from the environment, into one header, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping

import httpx2

from llm_holes.engine.ipc.address import Address

NAMES = ("LLM_HOLES_API_KEY", "OPENAI_API_KEY")
HIDDEN = "[the key]"
SHORTEST = 6
"""What is shorter is no secret, and would be found in ordinary words."""


class Key(httpx2.Auth):
    """Puts the key into each request. It is never printed, and `hidden` takes it out of what a server says."""

    def __init__(self, secret: str = "") -> None:
        self.__secret = secret

    def __repr__(self) -> str:
        return f"Key({HIDDEN if self.__secret else ''})"

    def __reduce__(self) -> str:
        raise TypeError("a key stays in its process")

    def __bool__(self) -> bool:
        return bool(self.__secret)

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self.__secret:
            request.headers["Authorization"] = f"Bearer {self.__secret}"
        yield request

    def hidden(self, text: str) -> str:
        """The text without the key."""
        return text.replace(self.__secret, HIDDEN) if len(self.__secret) >= SHORTEST else text


def key_for(address: Address, environment: Mapping[str, str] = os.environ) -> Key:
    """The key to send there: none over a line that others can read."""
    if not address.encrypted and not address.here:
        return Key()
    secret = next((environment[name] for name in NAMES if environment.get(name)), "").strip()
    return Key(secret if secret.isascii() and secret.isprintable() else "")
