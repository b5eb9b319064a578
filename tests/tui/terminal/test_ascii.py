"""Each character we draw with has a twin in ASCII, as wide as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from llm_holes.tui.terminal.ascii import written_in
from tests.support.paths import ROOT

DRAWN = sorted({c for path in (ROOT / "tui").rglob("*.py") for c in path.read_text() if not c.isascii()})


def test_no_character_of_ours_becomes_a_question_mark() -> None:
    unknown = {c for c in DRAWN if not c.isalnum() and "?" in written_in("ascii")(c)}
    # the marks of a vowel and of a control character have no likeness
    assert unknown <= set("␛␡⠀\ufffd⁻")


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(DRAWN)))
def test_a_twin_is_ascii_and_as_wide(text: str) -> None:
    for character in text:
        shown = written_in("ascii")(character)
        assert shown.isascii()
        assert shown == character or len(shown) == cell_len(character)


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("╭─ a ─╮ │ ▸ “b” …", "ascii", '+- a -+ | > "b" .'),
        ("▁▂▃▄▅▆▇█", "ascii", "_.:=+*%#"),
        ("é今e\u0301", "ascii", "e??e"),
        ("é·×│", "latin-1", "é·×|"),
        ("⠁⡀⠒⣿\u2800", "ascii", "'.-# "),
        ("é今│", "UTF-8", "é今│"),
    ],
)
def test_what_an_encoding_lacks_is_replaced(text: str, encoding: str, shown: str) -> None:
    assert written_in(encoding)(text) == shown


def test_the_levels_of_a_bar_stay_apart() -> None:
    assert len(set(written_in("ascii")("▁▂▃▄▅▆▇█"))) == 8
    assert len(set(written_in("ascii")("·░▒▓█"))) == 5
