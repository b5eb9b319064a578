"""Find the hole: opens a case, and names the damage."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from random import randrange
from typing import ClassVar

from msgspec import structs
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.engine.numbers import plural
from llm_holes.lessons.game.cases import OpenCase
from llm_holes.lessons.game.rules import CONTROLS, DIFFICULTIES, GIVE_UP, KINDS
from llm_holes.tui.content import lines
from llm_holes.tui.draw.spans import Row, Span, fit, wrapped
from llm_holes.tui.messages import Changed, Described
from llm_holes.tui.screens.dialog import Dialog
from llm_holes.tui.widgets.dial import Choice, Dial, Stepper

ABOUT = """One part of the model is broken, and nobody tells which. Run any lesson: while a case is open it runs on the
broken model, and each run is a probe. Then say what is broken, and where."""
HOW = """o turns to the intact model and back, at no cost: pin a run with a, turn, run again, and A|B shows what the
damage changed. f comes back here, to compare a layer with the intact one (halve the layers that are left) or to name
the damage."""
TODAY = "today's case: the same one for everybody"
LABELS = 16
SEEDS = 10_000
"""Cases drawn by chance are below; those of a day are above."""
BY_NAME = {control.name: control for control in CONTROLS}
LABEL_OF = {kind.label: kind.id for kind in KINDS.values()}
PROBES_SHOWN = 4


class GameScreen(Dialog[dict[str, Value]]):
    """Gives the settings chosen, seed and difficulty or a guess, or None.

    Subclasses have some controls and say what they mean.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        # before the sheet they stand on, which would scroll
        Binding("down,j", "app.focus_next", "down", show=False, priority=True, tooltip="Next line", id="game-down"),
        Binding("up,k", "app.focus_previous", "up", show=False, priority=True, tooltip="Line before", id="game-up"),
        Binding("enter", "on", "go on", tooltip="Go on with this", id="game-on"),
    ]
    TITLE_TEXT, KEYS = "find the hole", ""

    def controls(self) -> list[Dial]:
        raise NotImplementedError

    def above(self, width: int) -> list[Row]:
        raise NotImplementedError

    def below(self, width: int) -> list[Row]:
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        parts = Static(id="above"), *self.controls(), Static(id="here"), Static(id="below")
        sheet = VerticalScroll(*parts, classes="dialog", can_focus=False)
        sheet.border_title = self.TITLE_TEXT
        sheet.border_subtitle = self.KEYS
        yield sheet

    def on_mount(self) -> None:
        self.set_focus(self.query(Dial).first())  # at once: keys may already be on their way
        self.call_after_refresh(self.show)

    def on_resize(self) -> None:
        self.call_after_refresh(self.show)

    @on(Changed)
    def _changed(self, event: Changed) -> None:
        event.stop()
        self.show()

    @on(Described)
    def _described(self, event: Described) -> None:
        """Says under the controls which one has the focus; the hint line belongs to what is behind."""
        event.stop()
        if isinstance(event.widget, Dial) and event.widget is self.focused:
            self.query_one("#here", Static).update(lines([[Span(f"▸ {event.widget.describe()}", "dim")]]))

    def show(self) -> None:
        width = max(self.query_one("#above").size.width, 30)
        self.query_one("#above", Static).update(lines(self.above(width)))
        self.query_one("#below", Static).update(lines(self.below(width)))

    @property
    def chosen(self) -> dict[str, Value]:
        return {setting.control.name: setting.value for setting in self.query(Dial)}

    def action_on(self) -> None:
        self.dismiss(self.chosen)


class BeginScreen(GameScreen):
    """Choose how loud the damage is, and which case.

    Args:
        today: the case of the day, which is proposed.
        best: the best score so far, by difficulty.
    """

    KEYS = "↑ ↓ line · ← → change · n another · enter begins · esc close"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "other", "another", tooltip="A case drawn by chance", id="game-other")
    ]

    def __init__(self, today: int, best: Mapping[int, int]) -> None:
        super().__init__()
        self.today, self.best = today, best

    def controls(self) -> list[Dial]:
        return [Stepper(BY_NAME["difficulty"], 1, LABELS), Stepper(BY_NAME["seed"], self.today, LABELS)]

    def action_other(self) -> None:
        self.query(Stepper).last().value = randrange(1, SEEDS)
        self.show()

    def above(self, width: int) -> list[Row]:
        return [*_prose(ABOUT, width), []]

    def below(self, width: int) -> list[Row]:
        level = DIFFICULTIES[int(str(self.chosen["difficulty"]))]
        best = self.best.get(level.level)
        rows: list[Row] = [
            [Span(TODAY if self.chosen["seed"] == self.today else "", "dim")],
            [
                Span(fit(level.name, LABELS + 2), "strong"),
                Span(f"{len(level.kinds)} kinds of damage, par {level.par} probes"),
            ],
            [
                Span(fit("best so far", LABELS + 2), "dim"),
                Span(f"{best} of 100" if best is not None else "not played yet"),
            ],
            [],
        ]
        return [*rows, *_prose(HOW, width)]


class NameScreen(GameScreen):
    """Name the damage of the open case, or compare a layer first.

    Args:
        open_case: the case and what it was probed with.
        titles: of the lessons, by id.
        model: for the ranges of layer and head.
    """

    KEYS = "← → change · enter names it · c compares · x gives up · esc back"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "compare", "compare", tooltip="Set this layer beside the intact one: a probe", id="game-compare"),
        Binding("x", "give_up", "give up", tooltip="See the truth, for no points", id="game-give-up"),
    ]

    def __init__(self, open_case: OpenCase, titles: Mapping[str, str], model: ModelInfo | None) -> None:
        super().__init__()
        self.open_case, self.titles, self.model = open_case, titles, model
        self.level = DIFFICULTIES[open_case.case.difficulty]

    def controls(self) -> list[Dial]:
        kinds = tuple(KINDS[kind].label for kind in self.level.kinds)
        kind = structs.replace(BY_NAME["guess_kind"], default=kinds[0], choices=kinds)
        made: list[Dial] = [Choice(kind, kinds[0], LABELS)]
        made += [Stepper(BY_NAME[name], BY_NAME[name].default, LABELS) for name in ("guess_layer", "guess_head")]
        middle = self.model.n_layers // 2 if self.model is not None else 0
        made.append(Stepper(structs.replace(BY_NAME["compare_layer"], default=middle, min=0), middle, LABELS))
        for setting in made:
            setting.take(self.model)
        return made

    def above(self, width: int) -> list[Row]:
        probes = self.open_case.probes
        said = f"case {self.open_case.case.seed} · {self.level.name} · {counted(len(probes))}, par {self.level.par}"
        rows: list[Row] = [[Span(said, "strong")]]
        for lesson, caption in probes[-PROBES_SHOWN:]:
            line = textwrap.shorten(caption, max(width - 24, 10), placeholder=" …")
            rows.append([Span(fit(self.titles.get(lesson, "layers compared"), 20) + "  ", "dim"), Span(line)])
        return [*rows, []]

    def below(self, width: int) -> list[Row]:
        return [[], *_prose(KINDS[str(self.guess["guess_kind"])].hint, width)]

    def show(self) -> None:
        kind = KINDS[str(self.guess["guess_kind"])]
        for setting in self.query(Dial):
            setting.display = setting.control.name != "guess_head" or kind.has_head
        super().show()

    @property
    def guess(self) -> dict[str, Value]:
        chosen = {name: value for name, value in self.chosen.items() if name != "compare_layer"}
        return chosen | {"guess_kind": LABEL_OF[str(chosen["guess_kind"])]}

    def action_on(self) -> None:
        self.dismiss(self.guess)

    def action_compare(self) -> None:
        self.dismiss({"compare_layer": self.chosen["compare_layer"]})

    def action_give_up(self) -> None:
        self.dismiss({"guess_kind": GIVE_UP})


def counted(probes: int) -> str:
    return plural(probes, "probe")


def _prose(text: str, width: int) -> list[Row]:
    return [[Span(line)] for line in wrapped(" ".join(text.split()), width)]
