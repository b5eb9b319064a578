"""The one place where foreign text (model output, the learner's text, errors, file names) becomes safe to draw.

Every character that could steer a terminal, hide, reorder its neighbours or paint over other lines is replaced by a
visible mark, one character at a time, so it does not matter how a text was cut into pieces.
"""

from __future__ import annotations

import re
from unicodedata import category

HIDDEN = {"Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x180E))
MOST_COMBINING = 8
"""Combining marks on one character that are drawn; no language needs as many."""
MARK = re.compile("‹([0-9a-f]{2,6})›|([\u2400-\u241f\u2421])")


def clean(text: str) -> str:
    """The text with nothing left that a terminal would obey; newlines and tabs stay.

    C0 and DEL become control pictures (␛), C1 becomes U+FFFD; format characters, bidi overrides, lone surrogates,
    private use, variation selectors, line separators and a ninth combining mark become marks such as ‹202e›.
    """
    return _unstacked(text.translate(_SHOWN))


def visible(text: str) -> str:
    """One line: `clean`, with newlines and tabs shown as ⏎ and ⇥."""
    return clean(text).replace("\n", "⏎").replace("\t", "⇥")


def from_bytes(data: bytes) -> str:
    """Bytes as one visible line; bytes that are no UTF-8 read ‹e6›, leading and trailing spaces read ·."""
    text = data.decode("utf-8", "surrogateescape")
    return visible(_STRAY.sub(lambda match: f"‹{ord(match[0]) - 0xDC00:02x}›", text)).replace(" ", "·")


def editable(text: str) -> str:
    """Like `clean`, but `meant` turns it back into the very same text: what an input field holds."""
    return _unstacked(text.replace("\r\n", "\n").translate(_EDITABLE))


def meant(text: str) -> str:
    """The text the learner meant by what an input field holds."""

    def character(match: re.Match[str]) -> str:
        if match[2]:
            return "\x7f" if match[2] == "␡" else chr(ord(match[2]) - 0x2400)
        code = int(match[1], 16)
        return chr(code) if code <= 0x10FFFF else match[0]

    return MARK.sub(character, text)


def _unstacked(text: str) -> str:
    return text if text.isascii() else _MAYBE_STACKED.sub(_without_a_ninth, text)


def _without_a_ninth(match: re.Match[str]) -> str:
    shown, count = [], 0
    for character in match[0]:
        count = count + 1 if category(character) in ("Mn", "Me") else 0
        shown.append(character if count <= MOST_COMBINING else f"‹{ord(character):04x}›")
    return "".join(shown)


_MAYBE_STACKED = re.compile(f"[^\x00-\u02ff]{{{MOST_COMBINING + 1},}}")
"""Where so many combining marks can be: none of them comes before U+0300."""
_STRAY = re.compile("[\udc80-\udcff]")


def _shown(code: int) -> str:
    if code in (0x09, 0x0A):
        return chr(code)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code < 0x7F:
        return chr(code)
    if code < 0xA0:
        return "\ufffd"
    if category(chr(code)) in HIDDEN or any(code in selectors for selectors in VARIATION_SELECTORS):
        return f"‹{code:04x}›"
    return chr(code)


def _kept(code: int) -> str:
    return f"‹{code:02x}›" if 0x80 <= code < 0xA0 else "\n" if code == 0x0D else _SHOWN[code]


class _Shown(dict[int, str]):
    """Filled as characters turn up: a table of all 1.1 million would cost 0.2 s at start."""

    def __missing__(self, code: int) -> str:
        self[code] = shown = _shown(code)
        return shown


class _Editable(dict[int, str]):
    def __missing__(self, code: int) -> str:
        self[code] = shown = _kept(code)
        return shown


_SHOWN = _Shown()
_EDITABLE = _Editable()
