"""What a tokenizer.json may ask for: rules under which a text of some length is cut in a bounded time and memory.

The file comes with a model, and what the library behind it does cannot be broken off. So the file is looked at before
the library reads it: how much it holds, by how much its rules can make a text longer, and how long its patterns can
take. The rest of the file, vocabulary and merges, is not parsed here, which would take seconds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from llm_holes.engine.tokenizer.patterns import measured

MAX_SIGNS = {b"{": 40_000, b"[": 600_000, b":": 400_000, b",": 1_600_000}
"""The largest vocabularies stay below: of 262,144 tokens, with their 514,906 merges as pairs."""
MAX_RULES = 4 * 2**20
MAX_STEPS = 200
MAX_GROWTH = 500.0
MAX_PREPENDED = 1_000
MAX_ADDED = 2**15
MAX_AROUND = 64
GROWING = {
    # of UTF-8, by the Unicode standard, "Maximum Expansion Factors"
    "NFC": 3.0,
    "NFD": 3.0,
    "NFKC": 11.0,
    "NFKD": 11.0,
    "Lowercase": 1.5,
    # a space on each side of a Chinese character
    "BertNormalizer": 3.0,
    "ByteLevel": 2.0,
    "Metaspace": 4.0,
}
Json = dict[str, Any]


class Outline(msgspec.Struct):
    """The parts of the file that are looked at, unparsed."""

    normalizer: msgspec.Raw = msgspec.Raw(b"null")
    pre_tokenizer: msgspec.Raw = msgspec.Raw(b"null")
    post_processor: msgspec.Raw = msgspec.Raw(b"null")
    added_tokens: list[msgspec.Raw] = []


def refuse_unbounded(data: bytes) -> None:
    """Raises ValueError with what the file has that is beyond any bound; what is no tokenizer passes."""
    for sign, most in MAX_SIGNS.items():
        if (count := data.count(sign)) > most:
            raise ValueError(f"{count:,} {sign.decode()!r}; the limit is {most:,}")
    try:
        outline = msgspec.json.decode(data, type=Outline)
        rules = [_decoded(part) for part in (outline.normalizer, outline.pre_tokenizer)]
        around = _decoded(outline.post_processor)
    except (msgspec.DecodeError, RecursionError):
        return  # the library says better what is wrong with it
    if len(outline.added_tokens) > MAX_ADDED:
        raise ValueError(f"{len(outline.added_tokens):,} added tokens; the limit is {MAX_ADDED:,}")
    _refuse_rules([step for part in rules for step in _steps(part)])
    _refuse_around(around)


def _decoded(part: msgspec.Raw) -> Any:
    if len(bytes(part)) > MAX_RULES:
        raise ValueError(f"rules of {len(bytes(part)):,} bytes; the limit is {MAX_RULES:,}")
    return msgspec.json.decode(part)


def _steps(part: Any) -> Iterator[Json]:
    """What is done with a text, one after another."""
    if not isinstance(part, dict):
        return
    inner = next((part[name] for name in ("normalizers", "pretokenizers", "processors") if name in part), None)
    if inner is None:
        yield part
    for step in inner if isinstance(inner, list) else ():
        yield from _steps(step)


def _refuse_rules(steps: list[Json]) -> None:
    if len(steps) > MAX_STEPS:
        raise ValueError(f"{len(steps):,} steps; the limit is {MAX_STEPS}")
    growth, unicode, prepended = 1.0, 1.0, 0
    for step in steps:
        kind = step.get("type")
        if kind in ("NFC", "NFD", "NFKC", "NFKD"):
            # a text is in a normal form once
            unicode = max(unicode, GROWING[kind])
        else:
            growth *= _growth(step)
        prepended += len(step["prepend"]) if isinstance(step.get("prepend"), str) else 0
    if growth * unicode > MAX_GROWTH:
        raise ValueError(f"steps that can make a text {growth * unicode:,.0f} times as long")
    if prepended > MAX_PREPENDED:
        raise ValueError(f"{prepended:,} characters to put in front of a text")


def _growth(step: Json) -> float:
    """How many times as long a step can make a text, in bytes of UTF-8."""
    pattern, content = step.get("pattern"), step.get("content")
    least = 1
    if isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
        least = measured(pattern["Regex"]).least
    elif isinstance(pattern, dict) and isinstance(pattern.get("String"), str):
        least = len(_bytes(pattern["String"]))
    if pattern is not None and isinstance(content, str):
        added = len(_bytes(content))
        # what matches nothing is put between any two characters
        return max(1.0, added / least) if least else 1.0 + added
    if isinstance(step.get("precompiled_charsmap"), str):
        return _longest(step["precompiled_charsmap"])
    # the library tells some steps by their other keys
    return GROWING.get(str(step["type"]), 1.0) if "type" in step else max(GROWING.values())


def _longest(charsmap: str) -> float:
    """Bytes of the longest text that SentencePiece's compiled rules put in the place of another: after the trie, whose
    size comes first, they end with a zero each."""
    try:
        data = base64.b64decode(charsmap, validate=True)
    except binascii.Error:
        return 1.0  # the library says so
    texts = data[4 + int.from_bytes(data[:4], "little") :]
    return float(max(1, *map(len, texts.split(b"\0"))))


def _refuse_around(part: Any) -> None:
    """Raises ValueError for many tokens to put around a text."""
    for step in _steps(part):
        pieces, tokens = step.get("single"), step.get("special_tokens")
        named = tokens.values() if isinstance(tokens, dict) else ()
        ids = [token.get("ids") for token in named if isinstance(token, dict)]
        longest = max((len(each) for each in ids if isinstance(each, list)), default=1)
        if isinstance(pieces, list) and len(pieces) * longest > MAX_AROUND:
            raise ValueError(f"{len(pieces) * longest:,} tokens to put around a text; the limit is {MAX_AROUND}")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
