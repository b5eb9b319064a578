from __future__ import annotations

from textual.containers import VerticalScroll

from llm_holes.tui.actions import SCROLL, bindings


class Pane(VerticalScroll, can_focus=False):
    """Something that scrolls with j and k as well as with the arrows."""

    BINDINGS = bindings(SCROLL)
    BINDING_GROUP_TITLE = "Reading"
