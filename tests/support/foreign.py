"""Texts that would steer a terminal, hide, reorder or pile up, and what must be left of them."""

from __future__ import annotations

import re
from unicodedata import category

PAYLOADS = (
    "\x1b]52;c;QUFB\x07", "\x1b[2J\x1b[H", "\x9b31m\x90q\x9c", "a\u202eb\u2066c", "\u200b\u200d\ufe0f", "\r\x08\x7f",
    "\U000e0041", "\ue000", "\u2028\u2029", "a" + "\u0301" * 50, "[/b] [b", "-\x1b[31m",
)  # fmt: skip
ALL = " ".join(PAYLOADS)
"""One of each class in one text."""
FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
COMBINING = "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u20d0-\u20f0"
STACKED = re.compile(f"[{COMBINING}]{{9}}")


def assert_harmless(text: str) -> None:
    """There is something, and nothing in it that a terminal obeys, hides or piles up."""
    assert text
    assert not {character for character in text if category(character) in FORBIDDEN and character not in "\n\t"}
    assert not STACKED.search(text)
