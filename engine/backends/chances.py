"""The chances of the tokens of a given text: told with the prompt, or one by one, by making the server write each.

A server that takes a prompt as ids reads them as they are, and a bias that leaves no other choice makes it write the
next one; llama.cpp tells the chance that this one had before the bias. vLLM and OpenAI's older API tell all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llm_holes.engine.backends.backend import Ask, Backend, Likely
from llm_holes.engine.backends.said import Said, chance
from llm_holes.engine.errors import ModelError

if TYPE_CHECKING:
    from llm_holes.engine.backends.http import HttpBackend

Prompt = str | Sequence[int]
NO_CHOICE = 100
"""The largest bias that is taken. No other token is that much likelier."""
UNREAD = "The server does not read ids as the tokens they are."
HALVES = "This server tells no chance of a token that ends within a character."
OTHERS = "".join(map(chr, (*range(0x80, 0x800), *range(0x800, 0x10000, 0x400), *range(0x10000, 0x110000, 0x8000))))
"""Characters in whose UTF-8 each byte is that can be in any."""


class Untold(ModelError):
    """The server tells the chances of other tokens, but not of one of these."""


def told(backend: HttpBackend, prompt: Prompt) -> tuple[Likely, ...]:
    """The tokens of a text or with these ids, each with its chance after those before it; the first has chance 1.
    Raises Untold and ModelError."""
    if "prompt chances" in backend.capabilities:
        return _prompt_chances(backend.said(_body(backend, prompt) | {"prompt_logprobs": 0}))
    if "echo" in backend.capabilities or isinstance(prompt, str):
        said = backend.said(_body(backend, prompt) | {"echo": True, "logprobs": 1})
        found = said.choices[0].logprobs if said.choices else None
        # the one that was written is at the end
        return tuple(written.token for written in found.written())[:-1] if found else ()
    first = tuple(Likely(b"", 1.0, i) for i in prompt[:1])
    return first + tuple(_forced(backend, prompt[:n], prompt[n]) for n in range(1, len(prompt)))


def single_bytes(backend: Backend, text: str) -> dict[int, int]:
    """The ids of the tokens that are single bytes, of the bytes of the text as far as they can be found out."""
    needed, found = set(text.encode()), dict[int, int]()

    def look(text: str) -> None:
        for token in backend.encode(text):
            if len(token.data) == 1:
                found.setdefault(token.data[0], token.id)

    look("".join(f"\n{character}" for character in dict.fromkeys(text)))
    for byte in sorted(needed - found.keys()):
        if byte < 0x80:
            look(chr(byte))
    if any(byte >= 0x80 for byte in needed - found.keys()):
        look("".join(f"\n{character}" for character in OTHERS if not "\ud800" <= character <= "\udfff"))
    return {byte: found[byte] for byte in needed if byte in found}


def _body(backend: HttpBackend, prompt: Prompt) -> dict[str, Any]:
    body = backend.body(Ask("", 1)) | {"prompt": prompt if isinstance(prompt, str) else list(prompt), "stream": False}
    body.pop("stream_options", None)
    return body


def _forced(backend: HttpBackend, before: Sequence[int], token: int) -> Likely:
    """The token with the chance it has after those before it. Raises Untold and ModelError."""
    said = backend.said(_body(backend, before) | {"logprobs": 1, "logit_bias": {str(token): NO_CHOICE}})
    found = said.choices[0].logprobs if said.choices else None
    written = found.written() if found else ()
    read = said.usage.prompt_tokens if said.usage else None
    if not written and said.choices:  # the text so far is no text, so that nothing is said of it
        raise Untold(HALVES)
    # one more where it puts a token of its own in front
    if not written or written[0].token.id != token or read not in (len(before), len(before) + 1):
        raise ModelError(UNREAD)
    return written[0].token


def _prompt_chances(said: Said) -> tuple[Likely, ...]:
    """vLLM's: of each place the prompt's own token by its id, and nothing of the first."""
    found = said.choices[0].prompt_logprobs or [] if said.choices else []
    chances = []
    for place in found:
        name, one = next(iter((place or {}).items()), ("-1", {}))
        text = str(one.get("decoded_token") or "") if isinstance(one, dict) else ""
        p = one.get("logprob") if isinstance(one, dict) else None
        chances.append(Likely(text.encode(), 1.0 if place is None else chance(p), int(name)))
    return tuple(chances)
