"""Which of a few steps a served model takes next, from the chances that its server tells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from llm_holes.engine.backends.backend import Ask, Backend, Likely, answer, most
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Token
from llm_holes.lessons.tier2.planning.helps import Part
from llm_holes.lessons.tier2.planning.shares import forced_in, shared_out


class ServedChooser:
    """Asks for one token after each text, with as many of the likeliest of that place as the server tells. A token that
    is not among them is looked up as a part of the prompt, where the server tells the chances of that; else it counts
    as likely as the last one told, which is more than it has, and `untold` is True."""

    def __init__(self, backend: Backend, options: Sequence[str]) -> None:
        self.options = tuple(options)
        self.untold = False
        self._backend = backend
        self._endings = [tuple(token.data for token in backend.encode(f" {option}\n")) for option in options]
        self.shares_after = cache(self._shares_after)

    def shares(self, parts: Sequence[Part]) -> list[float]:
        return self.shares_after("".join(part.text for part in parts))

    def forced(self, choice: str) -> int:
        return forced_in(self._endings[self.options.index(choice)], self._endings)

    def attention(self, parts: Sequence[Part], kinds: set[str]) -> None:
        """No server shows it."""

    def _shares_after(self, text: str) -> list[float]:
        return shared_out(self._endings, lambda before, tokens: self._chances(text, b"".join(before), tokens))

    def _chances(self, text: str, before: bytes, tokens: Sequence[bytes]) -> list[float]:
        """The chances of the tokens among them alone."""
        try:
            text += before.decode()
        except UnicodeDecodeError:
            raise InputError(
                "two steps of the plan part within a character, where no text can be sent", "Begin them differently."
            ) from None
        places = answer(self._backend, Ask(text, 1, most(self._backend.capabilities))).tokens
        if not places or not places[0].top:
            raise InputError("the server ended its answer before the first token", "Type another text.")
        found = [self._chance(text, token, places[0].top) for token in tokens]
        whole = sum(found)
        return [p / whole if whole else 1 / len(found) for p in found]

    def _chance(self, text: str, token: bytes, told: Sequence[Likely]) -> float:
        for likely in told:
            if likely.data == token:
                return likely.p
        if {"prompt chances", "echo"} & self._backend.capabilities:
            last = self._backend.chances(text + token.decode("utf-8", "replace"))[-1]
            if last.data == token and last.p:
                return last.p
        self.untold = True
        return told[-1].p


def in_tokens(backend: Backend, text: str, count: int) -> str:
    """The first `count` tokens of the text, as text."""
    tokens: tuple[Token, ...] = backend.encode(text) if count else ()
    return b"".join(token.data for token in tokens[:count]).decode("utf-8", "replace")
