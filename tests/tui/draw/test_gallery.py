"""Small multiples and maps with words in their cells, as plain strings; and walking among them."""

from __future__ import annotations

import math

from textual.app import App, ComposeResult

from llm_holes.engine.frames import Array, Gallery, Heatmap, Value
from llm_holes.tui.draw.arrays import matrix
from llm_holes.tui.draw.as_text import view_text
from llm_holes.tui.draw.gallery import gallery_row, gallery_rows, gallery_scale, hanging, item_facts, thumbnails
from llm_holes.tui.draw.map import cell_facts
from llm_holes.tui.draw.spans import plain
from llm_holes.tui.messages import Picked
from llm_holes.tui.views.gallery import GalleryView
from llm_holes.tui.views.widgets import widget_for


def maps(count: int, size: int = 4) -> Array:
    """Item n holds a diagonal of ones, the first item only zeros."""
    rows = range(size)
    return Array.of([[[float(r == c and n > 0) for c in rows] for r in rows] for n in range(count)])


def gallery(
    count: int = 5, groups: tuple[str, ...] = ("sink", "sink", "induction", "induction", "induction")
) -> Gallery:
    labels = tuple(f"L0H{n}" for n in range(count))
    notes = tuple(f"note {n}" for n in range(count))
    places = tuple((7, n) for n in range(count))
    return Gallery("heads", maps(count), labels, notes, groups, "weight", ("layer", "head"), places)


def test_groups_have_headings_and_maps_wrap_within_the_width() -> None:
    rows = [plain(row).rstrip() for row in gallery_rows(gallery(), 11)]
    assert rows == [
        "heads  5 maps",
        "0 · ░ ▒ ▓ █ 1  weight",
        "sink · 2 of 5",
        "L0H0  L0H1",
        "····  ██··",
        "····  ··██",
        "induction · 3 of 5",
        "L0H2  L0H3",
        "██··  ██··",
        "··██  ··██",
        "L0H4",
        "██··",
        "··██",
    ]


def test_a_large_map_shrinks_to_its_largest_cells() -> None:
    spot = [[math.nan] * 100 for _ in range(100)]
    spot[99][0] = 3.0
    (cells,) = thumbnails(Array.of([spot]))
    assert (len(cells), len(cells[0])) == (16, 16)
    assert cells[15][0] == 3.0
    assert all(math.isnan(value) for row in cells[:15] for value in row)
    assert len(thumbnails(Array.of([spot] * 17))[0]) == 8


def test_the_cursor_marks_a_label_and_says_all_about_its_map() -> None:
    view = gallery()
    shown = thumbnails(view.values)
    hung = hanging(view, shown, 80)
    row = gallery_row(view, shown, gallery_scale(view, shown), hung, 4 + 3, 3, glyphs=False)
    assert [span.role for span in row if span.text.startswith("▸L0H3")] == ["cursor"]
    assert item_facts(view, 3) == "L0H3 · induction · note 3"


def test_an_empty_gallery_says_so() -> None:
    assert view_text(Gallery("heads", Array.of([]), ()), 40).startswith("heads  empty")


def test_foreign_labels_stay_harmless_and_in_their_slots() -> None:
    view = Gallery("[b]", maps(3), ("\x1b[2J", "今天", "a\nb"), groups=("\u202e", "x", "x"))
    text = view_text(view, 40)
    assert "\x1b" not in text
    assert "\u202e" not in text


WORDS = Heatmap(
    "lens", Array.of([[0.1, 0.5], [0.2, 1.0]]), "after", "token", ("embedding", "layer 0"), ("The", " cat"),
    texts=(" Paris", "the", "\n", "a long word"), details=("w", "x", "y", "z"),
)  # fmt: skip


def test_a_map_can_hold_words_with_their_shade_in_front() -> None:
    rows = view_text(WORDS, 30).splitlines()
    assert rows[1:4] == ["          The       ·cat", "embedding · ·Paris  ▒ the", "  layer 0 ░ ⏎       █ a long …"]
    assert cell_facts(WORDS, matrix(WORDS.values), 1, 1) == "after layer 0 × token ·cat: z"


def test_a_map_of_words_wider_than_the_page_goes_on_below() -> None:
    rows = view_text(WORDS, 18).splitlines()
    assert [row for row in rows if "layer 0" in row] == ["  layer 0 ░ ⏎", "  layer 0 █ a lo…"]


class Hall(App[None]):
    def __init__(self, view: Gallery) -> None:
        super().__init__()
        self.shown = view
        self.picked: list[dict[str, Value]] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"measured": "#88c0d0"}

    def compose(self) -> ComposeResult:
        yield widget_for(self.shown)

    def on_picked(self, event: Picked) -> None:
        self.picked.append(event.settings)


async def test_arrows_walk_the_gallery_and_enter_takes_the_head() -> None:
    app = Hall(gallery())
    async with app.run_test(size=(11, 20)) as pilot:
        view = app.query_one(GalleryView)
        view.focus()
        await pilot.press("right", "down")
        assert view.cursor == (0, 3)
        await pilot.press("down")
        assert view.cursor == (0, 4)
        assert view.describe() == "L0H4 · induction · note 4"
        await pilot.press("home", "up", "up", "enter")
        assert view.cursor == (0, 0)
        await pilot.press("end", "enter")
        assert app.picked == [{"layer": 7, "head": 0}, {"layer": 7, "head": 1}]
