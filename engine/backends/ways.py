"""Fields of a request that some models refuse, each learnt from a refusal that names it, and what is sent instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Way = tuple[str, float]
"""A field that is refused, and with which value; 0 where any is."""
LIMIT, OTHER_LIMIT = "max_tokens", "max_completion_tokens"
UNFIT = (400, 422)
"""The statuses of a request that is refused for what is in it."""


class Ways:
    """What one server's model was found to refuse. All requests to it share this."""

    def __init__(self) -> None:
        self._refused: set[Way] = set()

    @property
    def draws(self) -> bool:
        """Whether it cannot be told to take the likeliest token."""
        return ("temperature", 0.0) in self._refused

    @property
    def stops(self) -> bool:
        """Whether it ends an answer at a text."""
        return ("stop", 0.0) not in self._refused

    def fitted(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The request as this model takes it."""
        fitted = {name: value for name, value in body.items() if name == LIMIT or _way(name, body) not in self._refused}
        if (LIMIT, 0.0) in self._refused and "messages" in body:
            fitted[OTHER_LIMIT] = fitted.pop(LIMIT)
        return fitted

    def learn(self, status: int, field: str, bodies: Sequence[Mapping[str, Any]]) -> Way | None:
        """What is to be done otherwise after a refusal of what was sent, from now on; None if there is no other way."""
        sent = next((body for body in bodies if field in body), None)
        known = field in ("temperature", "stop") or (field == LIMIT and "messages" in (sent or ()))
        if status not in UNFIT or sent is None or not known:
            return None
        self._refused.add(way := _way(field, sent))
        return way

    def forget(self, ways: Sequence[Way]) -> None:
        """Those that did not help."""
        self._refused.difference_update(ways)


def _way(field: str, body: Mapping[str, Any]) -> Way:
    return field, float(body[field]) if field == "temperature" else 0.0
