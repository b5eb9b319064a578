"""Stacked contexts as they are read: the newest at the right, the window's edge, what it cuts off in small letters."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from llm_holes.engine.frames import Context, Contexts, Part
from llm_holes.tui.draw.contexts import contexts_rows, part_facts
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.views.contexts import ContextsView
from llm_holes.tui.views.widgets import widget_for
from tests.support.example_views import CONTEXTS


def drawn(view: Contexts, width: int) -> list[str]:
    return [plain(row).rstrip() for row in contexts_rows(view, width)]


@pytest.mark.parametrize("width", [40, 76, 120])
def test_each_turn_sends_more_and_the_window_cuts_the_oldest(width: int) -> None:
    rows = drawn(CONTEXTS, width)
    bars = rows[2:6]
    assert [bar.split()[:2] for bar in bars] == [["turn", str(n)] for n in range(1, 5)]
    edges = [bar.index("│") for bar in bars]
    assert len(set(edges)) == 1
    assert all("s" not in bar[edges[0] :] for bar in bars)
    assert "s" in bars[3][: edges[0]], "what is cut off begins with a small letter"
    assert "S" not in bars[3]
    assert [bar.split()[-1] for bar in bars[:3]] == ["20", "40", "60"]
    assert bars[3].endswith("80" if width == 40 else "80, 16 cut off")
    assert any("20 tokens" in row for row in rows[6:])
    assert "S▆ system" in rows[7]


def test_the_picture_uses_the_room_there_is() -> None:
    """You should see each bar end at the right, the edge in one column, hollow parts left of it, and what is what."""
    assert drawn(CONTEXTS, 40) == [
        "what is sent at each turn",
        "               ╭────────── window 64",
        "  turn 1       │              S▆▆▆N▆  20",
        "  turn 2       │        S▆▆O▆▆▆▆▆▆N▆  40",
        "  turn 3       │ S▆▆▆O▆▆▆▆▆O▆▆▆▆▆▆N▆  60",
        "  turn 4  s╌╌╌o│▆▆▆▆▆O▆▆▆▆▆O▆▆▆▆▆▆N▆  80",
        "                    ├────┤ 20 tokens",
        "S▆ system   N▆ new message",
        "O▆ old turns   s╌ cut off by the window",
    ]
    assert drawn(CONTEXTS, 76) == [
        "what is sent at each turn",
        "                    ╭─────────────────── window of 64 tokens",
        "  turn 1            │                           S▆▆▆▆▆▆N▆▆▆▆              20",
        "  turn 2            │               S▆▆▆▆▆▆O▆▆▆▆▆▆▆▆▆▆▆N▆▆▆▆              40",
        "  turn 3            │  S▆▆▆▆▆▆▆O▆▆▆▆▆▆▆▆▆▆▆O▆▆▆▆▆▆▆▆▆▆▆N▆▆▆▆              60",
        "  turn 4  s╌╌╌╌╌╌o╌╌│▆▆▆▆▆▆▆▆▆▆O▆▆▆▆▆▆▆▆▆▆▆O▆▆▆▆▆▆▆▆▆▆▆N▆▆▆▆  80, 16 cut off",
        "                 ├──────────┤ 20 tokens, newest at the right",
        "S▆ system   N▆ new message   O▆ old turns   s╌ cut off by the window",
    ]


def test_bars_are_as_thick_as_the_room_allows() -> None:
    """You should see two rows to a bar: the second repeats what is kept, and leaves out letters and what is cut off."""
    rows = [plain(row).rstrip() for row in contexts_rows(CONTEXTS, 40, None, 8)]
    assert rows[2:10] == [
        "  turn 1       │              S▆▆▆N▆  20",
        "               │              ██████",
        "  turn 2       │        S▆▆O▆▆▆▆▆▆N▆  40",
        "               │        ████████████",
        "  turn 3       │ S▆▆▆O▆▆▆▆▆O▆▆▆▆▆▆N▆  60",
        "               │ ███████████████████",
        "  turn 4  s╌╌╌o│▆▆▆▆▆O▆▆▆▆▆O▆▆▆▆▆▆N▆  80",
        "               │████████████████████",
    ]
    assert len(contexts_rows(CONTEXTS, 40, None, 100)) == len(rows) + 4


async def test_up_and_down_lead_to_the_part_above_or_below_and_a_click_to_the_part_there() -> None:
    class Shown(App[None]):
        def get_theme_variable_defaults(self) -> dict[str, str]:
            return {"measured": "#88c0d0"}

        def compose(self) -> ComposeResult:
            yield widget_for(CONTEXTS)

    app = Shown()
    async with app.run_test(size=(76, 14)) as pilot:
        view = app.query_one(ContextsView)
        view.focus()
        await pilot.press("end")
        assert view.cursor == (0, 1)
        await pilot.press("down", "down", "down")
        assert view.cursor == (3, 4), "the new message stands at the right in every row"
        await pilot.press("home")
        assert "all cut off" in view.describe()
        assert await pilot.click(ContextsView, offset=(plain(view.row(2, 76)).index("S") + 1, 2))
        assert view.cursor == (0, 0)


def test_the_place_of_the_cursor_is_told_with_its_text() -> None:
    assert part_facts(CONTEXTS, (3, 0)) == "turn 4 · system: 12 tokens, all cut off · “You are a helpful assistant.”"
    assert part_facts(CONTEXTS, (3, 1)).startswith("turn 4 · turn 1: 20 tokens, 4 cut off")
    assert any("[" in plain(row) and "]" in plain(row) for row in contexts_rows(CONTEXTS, 76, (1, 1)))


@pytest.mark.parametrize(
    "view",
    [
        Contexts("none", ()),
        Contexts("empty", (Context("a", ()),), 10),
        Contexts("zero", (Context("a", (Part("p", 0),)),), 1),
        Contexts("far", (Context("a", (Part("p", 5),)),), 100_000),
        Contexts("many", (Context("\x1b[2J", tuple(Part(f"🙂 {n}", n, str(n)) for n in range(60))),), 300),
    ],
    ids=lambda view: view.title,
)
@pytest.mark.parametrize("width", [40, 76])
def test_odd_input_is_drawn_within_the_width(view: Contexts, width: int) -> None:
    for row in contexts_rows(view, width)[1:]:
        assert cell_len(plain(row).rstrip()) <= width
        assert "\x1b" not in plain(row)
