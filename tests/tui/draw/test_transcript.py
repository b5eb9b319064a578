"""What a transcript looks like, as plain strings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from llm_holes.engine.frames import Token, Transcript, Turn
from llm_holes.tui.cli.json import jsonable
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.sanitize import clean
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.draw.transcript import layout_of, place_facts, start_of, transcript_row, transcript_rows
from llm_holes.tui.views.widgets import widget_for


def tokens(*texts: str) -> tuple[Token, ...]:
    return tuple(Token(n, text.encode("utf-8", "surrogatepass")) for n, text in enumerate(texts))


TALK = Transcript(
    "what happened",
    (
        Turn("software", "passed on your message", tokens=tokens("<|im_start|>", "user", "\n", "How", " many", "?")),
        Turn("model", "a call", tokens=tokens('{"', "name", '":')),
        Turn("software", "ran calculator", "1 + 1\n= 2"),
        Turn("model", "the answer", tokens=tokens("Two")),
    ),
)


def test_who_did_what_can_be_told_without_colour() -> None:
    assert view_text(TALK, 40).splitlines() == [
        "what happened",
        "○ software did  passed on your message  6 tokens",
        "│ <|im_start|>|user|⏎",
        "│ How| many|?",
        "◆ model wrote  a call  3 tokens",
        '┃ {"|name|":',
        "○ software did  ran calculator",
        "│ 1 + 1",
        "│ = 2",
        "◆ model wrote  the answer  1 token",
        "┃ Two",
    ]


def test_colour_takes_the_place_of_the_strokes() -> None:
    layout = layout_of(TALK, 40, marks=False)
    row = transcript_row(TALK, layout, 2, 4, marks=False)
    assert plain(row) == "│ How many?"
    assert [span.role for span in row] == ["pick", "chip1", "cursor", "chip1"]
    assert transcript_row(TALK, layout, 4, None, marks=False)[0].role == "measured"


def test_the_cursor_is_told_who_put_a_token_there() -> None:
    layout = layout_of(TALK, 40, marks=False)
    assert place_facts(TALK, layout, 4) == "4  ○ software did  ·many  id 4  bytes 20 6d 61 6e 79"
    assert place_facts(TALK, layout, 9).startswith("9  ◆ model wrote  Two")


FOLDED = Transcript("what happened", (replace(TALK.turns[0], folded=True), *TALK.turns[1:]))


def test_a_folded_act_opens_where_the_cursor_is() -> None:
    def rows(cursor: int | None) -> list[str]:
        layout = layout_of(FOLDED, 60, marks=False, cursor=cursor)
        return [plain(transcript_row(FOLDED, layout, y, cursor, marks=False)) for y in range(len(layout.lines))]

    assert rows(start_of(FOLDED))[:2] == [
        "○ software did  passed on your message  6 tokens …",
        "◆ model wrote  a call  3 tokens",
    ]
    assert rows(2)[:2] == ["○ software did  passed on your message  6 tokens", "│ <|im_start|>user⏎"]
    assert rows(None)[:2] == rows(2)[:2], "without a cursor all of it is shown"


def test_a_reader_begins_where_the_model_does() -> None:
    assert start_of(FOLDED) == 6
    assert start_of(Transcript("t", FOLDED.turns[:1])) == 5, "so far nothing was written"
    assert start_of(Transcript("t", ())) == 0


def test_it_travels_as_json_and_has_a_widget() -> None:
    assert jsonable(TALK)["type"] == "transcript"  # type: ignore[call-overload,index]
    assert widget_for(TALK).view is TALK


FOREIGN = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["\x1b[2J", "\n\n", "a\u202eb", "今天", ""]),
    max_size=12,
)


@given(FOREIGN, FOREIGN, st.integers(8, 60), st.booleans())
def test_whatever_was_said_fits_and_steers_nothing(said: list[str], done: list[str], width: int, marks: bool) -> None:
    view = Transcript("t", (Turn("model", "w", tokens=tokens(*said)), Turn("software", "d", "".join(done))))
    layout = layout_of(view, width, marks)
    assert [n for line in layout.lines for n in range(line.first, line.end)] == list(range(len(said)))
    for y, line in enumerate(layout.lines):
        text = plain(transcript_row(view, layout, y, None, marks))
        assert text == clean(text)
        if line.text is not None or line.first != line.end:
            assert cell_len(text) <= width
    for index, place in enumerate(layout.places):
        row = transcript_row(view, layout, place.line, index, marks)
        at = next(n for n, span in enumerate(row) if span.role == "cursor")
        assert cell_len(plain(row[:at])) == place.x
    assert len(transcript_rows(view, width)) == 1 + len(layout_of(view, width, True).lines)
