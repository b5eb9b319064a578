from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.reactive import var
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from llm_holes.lessons.catalog.catalog import Catalog, Lesson
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from llm_holes.tui.actions import TREE, bindings
from llm_holes.tui.draw.spans import fit
from llm_holes.tui.messages import Described, OpenLesson, Play

if TYPE_CHECKING:
    from llm_holes.lessons.learner.mastery import Status

HERE = "◂"
PLAY, GAME = "◇", "Find the hole"
MARKS = {"unseen": "·", "read": "·", "run": "◐", "passed": "✓"}


class LessonTree(Tree[str]):
    """The map of all holes. A node's data is the lesson's id."""

    BINDINGS = bindings(TREE)
    BINDING_GROUP_TITLE = "In the tree of holes"
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tree--lesson", "tree--quiet", "tree--here", "tree--mark"}
    ICON_NODE = "▸"
    ICON_NODE_EXPANDED = "▾"

    shown: var[str] = var("")
    """The lesson on the page."""
    statuses: var[dict[str, Status]] = var[dict[str, "Status"]](dict)
    """How the learner stands with the lessons that are not unseen."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__("holes", id="holes", classes="-here")
        self.show_root = False
        self.guide_depth = 2
        self.show_guides = False
        self.auto_expand = False
        self.catalog = catalog
        self.nodes: dict[str, TreeNode[str]] = {"": self.root}
        for lesson in catalog.lessons.values():
            leaf = not catalog.children(lesson.id)
            above = self.nodes[lesson.parent]
            self.nodes[lesson.id] = above.add(lesson.short, lesson.id, expand=lesson.tier < 2, allow_expand=not leaf)

        self.root.add_leaf(GAME, FIND_THE_HOLE)

    def render_label(self, node: TreeNode[str], base_style: Style, style: Style) -> Text:
        lesson = self.catalog.lessons.get(node.data or "")
        if lesson is None:
            bright = self.get_component_rich_style("tree--mark", partial=True)
            return Text.assemble(" ", (f"{PLAY} ", style + bright), (str(node.label), style))
        here = lesson.id == self.shown
        kind = "here" if here else "lesson"
        look = self.get_component_rich_style(f"tree--{kind}", partial=True)
        icon = (self.ICON_NODE_EXPANDED if node.is_expanded else self.ICON_NODE) if node.allow_expand else " "
        mark = MARKS[self.statuses.get(lesson.id, "unseen")]
        room = self.size.width - self.guide_depth * _depth(node) - cell_len(icon) - 3
        quiet = self.get_component_rich_style("tree--quiet", partial=True)
        bright = self.get_component_rich_style("tree--mark", partial=True)
        return Text.assemble(
            (icon, style + quiet),
            (mark + " ", style + (bright if mark != MARKS["passed"] else quiet)),
            (fit(lesson.short, max(room, 4)), style + look),
            (HERE if here else " ", style + bright),
        )

    def get_label_width(self, node: TreeNode[str]) -> int:
        return max(self.size.width - self.guide_depth * _depth(node), 1)

    @property
    def at(self) -> Lesson | None:
        """The lesson under the cursor."""
        return self.catalog.lessons.get(self.cursor_node.data or "") if self.cursor_node else None

    def describe(self) -> str:
        if self.cursor_node is None:
            return ""
        lesson = self.at
        if lesson is None:
            return f"{GAME} · a game: one part of the model is broken in secret; probe it with any lesson and name it"
        status = self.statuses.get(lesson.id, "unseen")
        return f"{lesson.title} · {lesson.data.minutes} min · {status} · {lesson.data.objective}"

    def reveal(self, lesson: str) -> None:
        """Moves the cursor to a lesson, opening what it is folded in."""
        node: TreeNode[str] | None = self.nodes[lesson]
        self.shown = lesson
        above = node.parent if node else None
        while above is not None:
            if above.is_collapsed:  # else the whole map would be drawn anew
                above.expand()
            above = above.parent
        if self.last_line >= 0:  # which gives the nodes that were opened their lines
            self.move_cursor(self.nodes[lesson])

    def watch_statuses(self, before: dict[str, Status], now: dict[str, Status]) -> None:
        for lesson in before.keys() | now.keys():
            if MARKS[before.get(lesson, "unseen")] != MARKS[now.get(lesson, "unseen")]:
                self.nodes[lesson].refresh()
        self.post_message(Described(self))

    def watch_shown(self, before: str, now: str) -> None:
        self.nodes[before].refresh()
        self.nodes[now].refresh()

    def action_shut(self) -> None:
        node = self.cursor_node
        if node is None:
            return
        if node.is_expanded and node.allow_expand:
            node.collapse()
        elif node.parent is not None and node.parent is not self.root:
            self.move_cursor(node.parent)

    def action_dig(self) -> None:
        node = self.cursor_node
        if node is None or not node.allow_expand:
            return
        if node.is_collapsed:
            node.expand()
        else:
            self.move_cursor(node.children[0])

    def on_tree_node_highlighted(self) -> None:
        self.post_message(Described(self))

    def on_focus(self) -> None:
        self.post_message(Described(self))

    def on_resize(self) -> None:
        self._clear_line_cache()

    def on_tree_node_selected(self, event: Tree.NodeSelected[str]) -> None:
        event.stop()
        if event.node.data == FIND_THE_HOLE:
            self.post_message(Play())
        elif event.node.data:
            self.post_message(OpenLesson(event.node.data))


def _depth(node: TreeNode[str]) -> int:
    depth = -1
    above = node.parent
    while above is not None:
        depth, above = depth + 1, above.parent
    return max(depth, 0)
