"""The card of a picture: an SVG any reader of XML takes, and the same as text."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from llm_holes.engine.frames import View
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.card import COLUMNS, Card, card_svg, card_text
from tests.support import gallery

VIEWS = [view for frames in gallery.frames().values() for view in frames[-1].views]
COMMAND = ("llm-holes run tokens", "--set 'text=a < b & {c}'")
SVG = "{http://www.w3.org/2000/svg}"


def card(view: View, caption: str = "11 tokens.", command: tuple[str, ...] = COMMAND) -> Card:
    return Card("What is a token?", view, caption, "Fake-1M · float32 · llm-holes 0.1.0", command)


def lines(svg: str) -> list[str]:
    """The words in sight, row by row, without the margin."""
    rows: dict[float, str] = {}
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        y = float(text.attrib["y"])
        rows[y] = rows.get(y, "") + (text.text or "").replace("\xa0", " ")
    return [line for line in (rows[y].strip() for y in sorted(rows)) if line]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.title)
def test_it_holds_the_picture_the_caption_the_model_and_the_command(view: View) -> None:
    svg = card_svg(card(view))
    shown = "\n".join(lines(svg))
    assert shown.startswith("What is a token?")
    for row in filter(str.strip, view_text(view, COLUMNS).splitlines()):
        # spaces between pieces in different styles are places in an SVG, not characters
        assert "".join(row.split()) in "".join(shown.split())
    assert shown.endswith("llm-holes run tokens --set 'text=a < b & {c}'")
    assert "Fake-1M · float32 · llm-holes 0.1.0" in shown
    assert "11 tokens." in shown
    assert ElementTree.fromstring(svg).findtext(f"{SVG}desc") == " ".join(COMMAND)


def test_text_from_outside_stays_text() -> None:
    odd = "</desc><script>\x1b[2J\u202e & {0} [b]x[/b]"
    svg = card_svg(card(VIEWS[0], odd))
    assert "<script" not in svg
    assert "\x1b" not in svg
    assert "\u202e" not in svg
    assert "</desc><script>␛[2J‹202e› & {0} [b]x[/b]" in lines(svg)
    assert "\x1b" not in card_text(card(VIEWS[0], odd))


def test_without_a_caption_there_is_none() -> None:
    shown = lines(card_svg(card(VIEWS[0], "")))
    assert shown[-2:] == ["Fake-1M · float32 · llm-holes 0.1.0", " ".join(COMMAND)]


def test_a_long_command_goes_on_as_a_shell_reads_it_and_is_whole_in_the_text() -> None:
    command = ("llm-holes run attention", *(f"--set number{n}={n}" for n in range(12)), f"--set 'text={'word ' * 30}'")
    shown = lines(card_svg(card(VIEWS[0], command=command)))
    at = shown.index(next(line for line in shown if line.startswith("llm-holes run")))
    assert all(line.endswith(" \\") for line in shown[at : at + 3])
    assert max(map(len, shown)) <= COLUMNS
    assert " ".join(shown[at:]).replace("\\", "").split() == " ".join(command).split()
    assert card_text(card(VIEWS[0], command=command)).splitlines()[-1] == " ".join(command)


def test_the_text_is_the_view_and_then_what_it_is_of() -> None:
    text = card_text(card(VIEWS[0]))
    assert text.splitlines()[0] == "What is a token?"
    assert view_text(VIEWS[0], COLUMNS) in text
    assert text.endswith(f"\n11 tokens.\n\nFake-1M · float32 · llm-holes 0.1.0\n{' '.join(COMMAND)}\n")
