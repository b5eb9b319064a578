"""The address of a server, as `--engine` takes it. Imports nothing: the front end reads it, too."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

SCHEMES = ("http://", "https://")


class AddressError(ValueError):
    """The address cannot be used; the message says why and what would do."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server's API begins, such as `https://host/v1`, without a slash at the end."""

    url: str
    host: str
    encrypted: bool

    @property
    def root(self) -> str:
        """Where what is not part of the common API begins."""
        return self.url.removesuffix("/v1")

    @property
    def here(self) -> bool:
        """Whether it is this machine."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def is_address(text: str) -> bool:
    return text.lower().startswith(SCHEMES)


def address_of(text: str) -> Address:
    """The address that was typed. Raises AddressError, which never repeats a password."""
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError("the server's address cannot be read; it is like https://host/v1") from None
    if parts.scheme not in ("http", "https") or not host:
        raise AddressError("the server's address is like https://host/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise AddressError(
            "the server's address must have no password and no ? or # in it; a key belongs into the environment, "
            "as LLM_HOLES_API_KEY"
        )
    if not text.isascii() or not text.isprintable() or " " in text.strip():
        raise AddressError("the server's address has characters that no address has")
    path = parts.path.rstrip("/")
    return Address(f"{parts.scheme}://{parts.netloc}{path}", host, parts.scheme == "https")
