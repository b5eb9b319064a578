"""A map in the app: the names above it do not shift the cursor, and it reads the same without colour."""

from __future__ import annotations

import pytest
from rich.console import Console
from textual.app import App, ComposeResult

from llm_holes.engine.frames import Array, Heatmap
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.views.heatmap import HeatmapView
from llm_holes.tui.views.widgets import widget_for

NAMES = ("The", " cat", " sat")
VIEW = Heatmap("map", Array.of([[0.0, 0.5, 1.0]] * 3), "token", "looks at", NAMES, NAMES, "weight", "row", "column")


class Shown(App[None]):
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"measured": "#88c0d0"}

    def compose(self) -> ComposeResult:
        yield widget_for(VIEW)


class Counted(Shown):
    def compose(self) -> ComposeResult:
        values = Array.of([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        yield widget_for(
            Heatmap("map", values, "rank", "step", row_control="row", column_control="column", first=1),
        )


def lines(view: HeatmapView) -> list[str]:
    return [view.render_line(y).text.rstrip() for y in range(view.row_count(view.size.width))]


async def test_a_click_below_the_names_is_at_the_cell_it_shows() -> None:
    app = Shown()
    async with app.run_test(size=(40, 14)) as pilot:
        view = app.query_one(HeatmapView)
        await pilot.click(HeatmapView, offset=(5 + 2 * 6, 4))
        assert view.settings_here() == {"row": 1, "column": 2}
        assert "[" in lines(view)[view.cursor_region().y]


@pytest.mark.parametrize("system", [None, "standard"])
async def test_without_colour_and_with_sixteen_the_shades_are_signs(
    monkeypatch: pytest.MonkeyPatch, system: str | None
) -> None:
    app = Shown()
    async with app.run_test(size=(40, 14)):
        if system:
            monkeypatch.setattr(Console, "color_system", system)
        else:
            monkeypatch.setattr(app, "no_color", True)
        shown = lines(app.query_one(HeatmapView))
        assert [*shown[1:3], shown[4]] == ["0 · ░ ▒ ▓ █ 1  weight", "     The   ·cat  ·sat", "·cat ······▓▓▓▓▓▓██████"]


async def test_rows_and_columns_that_count_from_one_do_so_at_the_cursor_and_on_enter() -> None:
    app = Counted()
    async with app.run_test(size=(40, 14)) as pilot:
        view = app.query_one(HeatmapView)
        await pilot.press("down")
        assert view.settings_here() == {"row": 2, "column": 1}
        assert lines(view)[-1].strip() == "▴ 1"
        assert view.describe() == "rank 2 × step 1 = 4"


def test_columns_of_words_are_as_wide_as_their_names_where_there_is_room() -> None:
    names = ("pour water over the tea", "add sugar")
    view = Heatmap("map", Array.of([[0.2, 0.8]]), column_names=names, texts=("20 %", "80 %"))
    assert all(name in view_text(view, 60) for name in names)
    assert "pour wate… add sugar" in view_text(view, 24)
