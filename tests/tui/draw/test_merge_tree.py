"""A merge tree as it is read: bytes on top, brackets with the place in the list, the tokens below."""

from __future__ import annotations

import pytest
from msgspec import structs
from rich.cells import cell_len

from llm_holes.engine.frames import Join, MergeTree, Token
from llm_holes.tui.draw.merge_tree import merge_tree_rows
from llm_holes.tui.draw.spans import plain
from tests.support.example_views import MERGE_TREE


def drawn(view: MergeTree, width: int) -> list[str]:
    return [plain(row).rstrip() for row in merge_tree_rows(view, width)]


def test_brackets_join_and_tokens_stand_below() -> None:
    rows = drawn(MERGE_TREE, 24)
    assert rows[0] == "how gathered is joined  9 bytes, 6 joins: 3 tokens"
    assert rows[1:9] == [
        "·  g  a  t h  e  r  e  d",
        "╰80╯  ╰26╯ │  ╰11╯  ╰41╯",
        " │    at   │  er     │",
        " │     ╰203╯   │     │",
        " │      ath    │     │",
        " │       ╰1,042╯     │",
        "·g        ather     ed",
        "▔▔        ▔▔▔▔▔     ▔▔",
    ]


@pytest.mark.parametrize("width", [76, 120])
def test_a_tree_spreads_where_there_is_room(width: int) -> None:
    rows = drawn(MERGE_TREE, width)
    assert rows[1].split() == list("·gathered")
    assert rows[2] == "╰──80──╯  ╰──26──╯      │      ╰──11──╯  ╰──41──╯"
    assert max(map(len, rows[1:9])) <= width


def test_a_tree_that_grows_keeps_its_place() -> None:
    whole, first = drawn(MERGE_TREE, 76), drawn(structs.replace(MERGE_TREE, shown=2), 76)
    assert first[0].endswith("2 joins: 7 tokens")
    assert first[1] == whole[1]
    assert "─26─" in first[2]
    assert "─80─" not in first[2]
    assert first[7].split() == ["·", "g", "at", "h", "er", "e", "d"]


def test_a_tree_too_wide_is_a_list_of_its_joins() -> None:
    """You should see the joins in their order, what each made, and the tokens; long ones go on in the next line."""
    pairs = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13))
    joins = tuple(Join(left, right, 10_001 + n) for n, (left, right) in enumerate(pairs))
    view = MergeTree("abcdefgh", tuple(Token(n, b"abcdefgh"[n : n + 1]) for n in range(8)), joins)
    assert "╰10,001╯" in drawn(view, 76)[2]
    assert drawn(view, 26)[1:] == [
        "10,001  a + b → ab",
        "10,002  c + d → cd",
        "10,003  e + f → ef",
        "10,004  g + h → gh",
        "10,005  ab + cd → abcd",
        "10,006  ef + gh → efgh",
        "10,007  abcd + efgh →",
        "        abcdefgh",
        "tokens  abcdefgh",
    ]


@pytest.mark.parametrize(
    "view",
    [
        MergeTree("", (), ()),
        MergeTree("one", (Token(1, b"x"),), ()),
        MergeTree("wrong", (Token(1, b"x"), Token(2, b"y")), (Join(0, 0, 1), Join(5, 9, 2))),
        MergeTree("odd", (Token(1, b"\xff"), Token(2, b"\x1b"), Token(3, "🙂".encode())), (Join(0, 1, 7),), 5),
        MergeTree("long", tuple(Token(n, b"a") for n in range(300)), ()),
    ],
    ids=lambda view: view.title or "empty",
)
@pytest.mark.parametrize("width", [20, 76])
def test_odd_input_is_drawn_within_the_width(view: MergeTree, width: int) -> None:
    for row in merge_tree_rows(view, width)[1:]:
        assert cell_len(plain(row).rstrip()) <= width
