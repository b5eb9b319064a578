from __future__ import annotations

import pytest

from llm_holes.engine.spelling import spaced, spelt


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" Paris", "·Paris"), ("Paris", "Paris"), ("\n\n", "⏎⏎"), ("  ", "··"), ("n't", "n't"),
        ("<|im_end|>", "<|im_end|>"), (",", "“,”"), (" (", "“·(”"), ("", "“”"),
        ("two words", "“two words”"), ("the ", "the·"), ("今天", "今天"),
    ],
)  # fmt: skip
def test_quotes_stand_only_where_the_text_needs_them(text: str, shown: str) -> None:
    assert spelt(text) == shown


def test_spaces_inside_a_text_stay() -> None:
    assert spaced("  a long\tword ") == "··a long⇥word·"
