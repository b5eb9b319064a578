"""Everything the learner can do: one registry from which bindings, footer, help and palette are made."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Action:
    """`id` names the action for keymaps; `keys` are alternatives, the first one is shown as `shown`."""

    id: str
    keys: str
    action: str
    label: str
    tooltip: str
    shown: str = ""
    footer: bool = True

    @property
    def key(self) -> str:
        return self.shown or self.keys.split(",")[0]

    def binding(self) -> Binding:
        return Binding(
            self.keys, self.action, self.label, show=self.footer, key_display=self.key, tooltip=self.tooltip, id=self.id
        )


LESSON = (
    Action("next-step", "space", "step(1)", "next step", "On to the lesson's next step"),
    Action("step-back", "backspace", "step(-1)", "step back", "Back to the step before", footer=False),
    Action("bet", "b", "bet", "bet", "To the bet that is open"),
    Action("cancel", "x", "cancel", "stop", "Stop the run"),
    Action("edit", "e", "edit", "edit text", "Edit the text; enter runs it, esc leaves it as it was"),
    Action("parts", "tab", "part(1)", "dials", "On to the next part: picture, bet, dials, map; shift+tab goes back"),
    Action("parts-back", "shift+tab", "part(-1)", "back", "To the part before", footer=False),
    Action("out", "escape", "out", "map", "One level out: field, dials, picture, map", shown="esc"),
    Action("tab-left", "left_square_bracket", "turn(-1)", "previous view", "The view before", shown="[", footer=False),
    Action("tab-right", "right_square_bracket", "turn(1)", "views", "The next view on the stage", shown="[ ]"),
    Action("run", "r", "run", "run", "Run the experiment on the model with the settings shown"),
    Action("preset", "p", "next_preset", "preset", "Set the next preset and run it"),
    Action("presets", "P", "presets", "presets", "Choose among the presets; each says why it is there", footer=False),
    Action("dials", "m", "more", "more dials", "Show the other dials, or only the main ones", footer=False),
    Action("next", "d", "next", "next", "On to the next lesson, depth first"),
    Action("quiz", "z", "quiz", "quiz", "Answer this lesson's questions; that passes it, before or after reading"),
    Action("map", "M", "map", "fold map", "Fold the map of holes away, or bring it back", footer=False),
    Action("up", "u", "up", "up", "To the hole above this one", footer=False),
    Action("back", "B", "back", "back", "Back to the lesson before this one", footer=False),
    Action("go", "g", "go", "go to", "Go to a hole this lesson links to: up, deeper or across"),
    Action("pin", "a", "pin", "pin A", "Pin this run as A: the next ones appear beside it, A|B; press again to unpin"),
    Action("keep", "n", "keep", "keep", "Add this run to the lab notebook, with everything it was made with"),
    Action("share", "S", "share", "share", "Write the picture with its command as an SVG, and copy it", footer=False),
    Action("tour", "T", "tour", "tour", "Ten minutes through eight lessons; goes on where it was left", footer=False),
    Action("review", "v", "review", "review", "What is due, totals, and how well you judge yourself", footer=False),
    Action("game", "f", "game", "find the hole", "A game: which part of the model is broken?", footer=False),
    Action("intact", "o", "intact", "other model", "In the game: the next runs go to the intact model, or back"),
    Action("other-engine", "E", "other_engine", "other engine", "The same text on the local model; or back"),
    Action("code", "c", "code", "code", "Read the code that runs"),
    Action("search", "slash", "search", "search", "Search titles, terms and texts of all lessons", shown="/"),
    Action("glossary", "i", "glossary", "glossary", "Look up a term: what it means and which hole explains it"),
    Action("quit", "q", "quit", "quit", "Leave; while something runs, when pressed twice"),
)  # fmt: skip

APP = (
    Action("theme", "t", "theme", "dark/light", "Switch between the dark and the light theme", footer=False),
    Action("palette", "ctrl+p", "command_palette", "palette", "Find a lesson, preset or action", footer=False),
    Action("redraw", "ctrl+l", "redraw", "redraw", "Draw the whole screen anew", footer=False),
    Action("help", "question_mark", "help", "all keys", "Keys of what has the focus, and all you can do", shown="?"),
    Action("leave", "ctrl+q", "quit", "leave", "Leave at once, from anywhere", footer=False),
)  # fmt: skip

GLOBAL = (*LESSON, *APP)
"""What is possible wherever the focus is, in the order of footer and help."""

TREE = (
    Action("tree-down", "down,j", "cursor_down", "down", "Next hole", shown="↓ j", footer=False),
    Action("tree-up", "up,k", "cursor_up", "up", "Previous hole", shown="↑ k", footer=False),
    Action("tree-left", "left,h", "shut", "shut", "Collapse, or go to the hole above", shown="← h", footer=False),
    Action("tree-right", "right,l", "dig", "into", "Expand, or go to the first hole inside", shown="→ l", footer=False),
    Action("tree-open", "enter", "select_cursor", "open", "Open this lesson"),
)

SCROLL = (
    Action("page-down", "down,j", "scroll_down", "down", "Scroll down", shown="↓ j", footer=False),
    Action("page-up", "up,k", "scroll_up", "up", "Scroll up", shown="↑ k", footer=False),
)

WALK = (
    Action("walk-left", "left,h", "walk(-1, 0)", "left", "One to the left", shown="← h", footer=False),
    Action("walk-right", "right,l", "walk(1, 0)", "right", "One to the right", shown="→ l", footer=False),
    Action("walk-up", "up,k", "walk(0, -1)", "up", "One up", shown="↑ k", footer=False),
    Action("walk-down", "down,j", "walk(0, 1)", "down", "One down", shown="↓ j", footer=False),
    Action("walk-start", "home", "walk_to(0)", "first", "To the first in this row", footer=False),
    Action("walk-end", "end", "walk_to(-1)", "last", "To the last in this row", footer=False),
    Action("walk-pick", "enter", "pick", "use this", "Set the controls to this place and run"),
)

NEXT = Action("next-thing", "tab", "screen.part(1)", "next", "On to the next thing; shift+tab goes back")

STEP = (
    Action("step-down", "left,h", "step(-1)", "less", "One step down", shown="←"),
    Action("step-up", "right,l", "step(1)", "more", "One step up", shown="→"),
    Action("step-far-down", "shift+left,H", "step(-10)", "10 less", "Ten steps down", shown="shift+←", footer=False),
    Action("step-far-up", "shift+right,L", "step(10)", "10 more", "Ten steps up", shown="shift+→", footer=False),
    NEXT,
)

CHOOSE = (
    Action("choose-back", "left,h", "step(-1)", "previous", "The choice before", shown="←"),
    Action("choose-on", "right,l", "step(1)", "next", "The next choice", shown="→"),
    NEXT,
)

SWITCH = (Action("switch", "left,right,h,l,enter", "switch", "on/off", "Switch it on or off", shown="← →"), NEXT)

PREDICT = (
    Action("predict-commit", "enter", "commit", "commit", "Commit to this answer and run"),
    Action("predict-less", "left,h", "surer(-1)", "less sure", "Ten percent less confident", shown="←", footer=False),
    Action("predict-more", "right,l", "surer(1)", "more sure", "Ten percent more confident", shown="→", footer=False),
    Action("predict-down", "down,j", "choose(1)", "next answer", "The next answer", shown="↓ j", footer=False),
    Action("predict-up", "up,k", "choose(-1)", "previous answer", "The previous answer", shown="↑ k", footer=False),
    Action("predict-skip", "s", "skip", "skip", "Run without a prediction; it is remembered as skipped"),
)

WRITE = (
    Action("write-run", "enter", "done", "run", "Run with this text"),
    Action("write-line", "ctrl+j,alt+enter", "new_line", "new line", "Start a new line in the text", shown="ctrl+j"),
    Action("write-leave", "escape", "leave", "leave", "Out of the text, which is as it was before", shown="esc"),
    NEXT,
)


OWN_KEYS = {
    action.id: action for group in (TREE, SCROLL, WALK, STEP, CHOOSE, SWITCH, WRITE, PREDICT) for action in group
}
"""What the focused widget can do besides."""


def bindings(actions: tuple[Action, ...]) -> list[BindingType]:
    return [action.binding() for action in actions]
