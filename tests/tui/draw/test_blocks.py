"""The block map as plain strings, and walking on it."""

from __future__ import annotations

from textual.app import App, ComposeResult

from llm_holes.engine.frames import Block, Blocks, BlockTable
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.blocks import block_facts, blocks_rows
from llm_holes.tui.draw.colours import HUES
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.messages import Described
from llm_holes.tui.views.blocks import BlocksView
from llm_holes.tui.views.widgets import widget_for

VIEW = Blocks(
    "memory",
    (
        Block(("A", "B", "C"), 1.0),
        Block(),
        Block(("A",), 0.5, "tokens 16 to 23"),
        Block(("B",), 0.0),
        *(Block() for _ in range(6)),
        Block(("C",), 0.01),
    ),
    (BlockTable("A", (0, 2), "24 tokens"), BlockTable("B", (0, 3)), BlockTable("C", (0, 10))),
)


def test_owners_sharers_and_how_full_are_signs() -> None:
    """You should see block 0 shared by 3, 1 free, 2 half full, 3 empty but taken, rows of eight, then the tables."""
    assert view_text(VIEW, 30).splitlines() == [
        "memory  4 of 11 blocks in use",
        " 0 3█ ·· A▄ B_ ·· ·· ·· ··",
        " 8 ·· ·· C▁",
        "A█ held by A, full · A▄ half",
        "full · A_ given to A, empty ·",
        "3█ shared by 3 · ·· free",
        "A     0 2  24 tokens",
        "B     0 3",
        "C     0 10",
    ]


def test_owners_keep_their_hue_in_the_map_and_in_their_tables() -> None:
    rows = blocks_rows(VIEW, 30)
    a, b = (next(span.role for span in rows[1] if span.text.startswith(name)) for name in "AB")
    assert {a, b} < set(HUES)
    assert a != b
    assert [rows[index][0].role for index in (6, 7)] == [a, b]
    assert next(span.role for span in rows[1] if span.text.startswith("3")) == "measured"


def test_the_cursor_needs_no_colour_and_fits_every_width() -> None:
    rows = [plain(row) for row in blocks_rows(VIEW, 30, cursor=7)]
    assert rows[1] == " 0 3█ ·· A▄ B_ ·· ·· ··[··]"
    rows = [plain(row) for row in blocks_rows(VIEW, 30, cursor=2)]
    assert rows[1] == " 0 3█ ··[A▄]B_ ·· ·· ·· ·· "
    assert rows[6].rstrip() == "A     0 [2]  24 tokens"
    for width in range(8, 90):
        assert all(len(plain(row)) <= width for row in blocks_rows(VIEW, width, 3)[1:])


def test_what_is_said_at_the_cursor() -> None:
    assert block_facts(VIEW, 0) == "block 0 · 3 share it: A, B, C · 100 % full"
    assert block_facts(VIEW, 1) == "block 1 · free"
    assert block_facts(VIEW, 2) == "block 2 · A · 50 % full · tokens 16 to 23"


def test_an_empty_memory_and_hostile_names() -> None:
    assert "no blocks" in view_text(Blocks("m", ()), 20)
    hostile = Blocks("m", (Block(("\x1b[31m",), 1.0),), (BlockTable("\x1b", (0,), "\x1b[0m"),))
    assert "\x1b" not in view_text(hostile, 40)
    assert "\x1b" not in block_facts(hostile, 0)


class Shown(App[None]):
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"measured": "#88c0d0"}

    def compose(self) -> ComposeResult:
        yield widget_for(VIEW)


async def test_arrows_walk_block_by_block_and_row_by_row() -> None:
    app = Shown()
    async with app.run_test(size=(30, 12)) as pilot:
        view = app.query_one(BlocksView)
        view.focus()
        await pilot.press("right", "right")
        assert "block 2" in view.describe()
        await pilot.press("down")
        assert "block 10" in view.describe()
        await pilot.press("down", "up", "end")
        assert "block 7" in view.describe()
        view.view = Blocks("smaller", VIEW.blocks[:3])
        assert "block 2" in view.describe()


class Listening(Shown):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def on_described(self, event: Described) -> None:
        assert isinstance(event.widget, BlocksView)
        self.said.append(event.widget.describe())


async def test_what_is_under_the_cursor_is_said_anew_when_the_picture_changes() -> None:
    app = Listening()
    async with app.run_test(size=(30, 12)) as pilot:
        view = app.query_one(BlocksView)
        view.focus()
        await pilot.pause()
        view.view = Blocks("later", (Block(),))
        await pilot.pause()
        assert app.said[-1] == "block 0 · free"
