"""Nothing a terminal obeys passes the choke point, and nothing else is changed."""

from __future__ import annotations

from unicodedata import category

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llm_holes.tui.draw.sanitize import clean, editable, from_bytes, meant, visible
from tests.support.clock import growth
from tests.support.foreign import FORBIDDEN, STACKED

ANY = st.text(st.characters() | st.sampled_from("\u0301\u0336\u20dd"), max_size=60)
"""Includes lone surrogates, unlike `st.text()`."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;AAAA\x07", "␛]52;c;AAAA␇"),
        ("\x1b[2J", "␛[2J"),
        ("a\x00\x7f\r", "a␀␡␍"),
        ("\x9b31m", "\ufffd31m"),
        ("\u202eabc\u2066", "‹202e›abc‹2066›"),
        ("👩\u200d🚀", "👩‹200d›🚀"),
        ("❤\ufe0f", "❤‹fe0f›"),
        ("\u2028\u2029", "‹2028›‹2029›"),
        ("\ue000\U000e0041", "‹e000›‹e0041›"),
        ("\ud83d", "‹d83d›"),
        ("a\tb\nc", "a\tb\nc"),
        ("Grüße, 今天 é [b]", "Grüße, 今天 é [b]"),
        ("a" + "\u0301" * 8, "a" + "\u0301" * 8),
        ("a" + "\u0301" * 10 + "b", "a" + "\u0301" * 8 + "‹0301›‹0301›b"),
        ("今" + "\u20dd" * 9, "今" + "\u20dd" * 8 + "‹20dd›"),
    ],
)
def test_each_danger_becomes_visible(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(ANY)
def test_no_dangerous_character_survives(text: str) -> None:
    shown = clean(text)
    assert not STACKED.search(shown)
    assert all(category(c) not in FORBIDDEN or c in "\n\t" for c in shown)
    shown.encode("utf-8")


@given(ANY, st.integers(0, 60))
def test_cutting_a_text_anywhere_changes_nothing(text: str, cut: int) -> None:
    """But between so many combining marks that they are cut themselves."""
    assume(not STACKED.search(text))
    assert clean(text[:cut]) + clean(text[cut:]) == clean(text)


@given(st.text("abc xyz[]/\\*_`€éß今\n\t", max_size=60))
def test_harmless_text_is_not_touched(text: str) -> None:
    assert clean(text) == text


def test_one_line_form_shows_newlines_and_tabs() -> None:
    assert visible("a\n\tb") == "a⏎⇥b"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b" the", "·the"),
        (b"\xe6\x97", "‹e6›‹97›"),
        (b"\xe6\x97\xa5", "日"),
        (b"\n", "⏎"),
        (b"\x1b", "␛"),
        (b"a\xffb", "a‹ff›b"),
    ],
)
def test_bytes_of_a_token(data: bytes, shown: str) -> None:
    assert from_bytes(data) == shown


@given(ANY)
def test_an_input_field_gives_back_the_very_text(text: str) -> None:
    text = "".join(c for c in text if c not in "\r‹›" and not 0x2400 <= ord(c) <= 0x2421)
    assert meant(editable(text)) == text


@given(ANY)
def test_an_input_field_holds_nothing_dangerous(text: str) -> None:
    assert all(category(c) not in FORBIDDEN or c in "\n\t" for c in editable(text))


def test_pasted_line_ends_are_newlines() -> None:
    assert editable("a\r\nb\rc") == "a\nb\nc"


def test_a_long_text_costs_no_more_per_character_than_a_short_one() -> None:
    text = "The quick \x1b[31m brown 今天 \u202e fox. "
    assert growth(lambda size: clean(text * size), 500, 8) < 24
