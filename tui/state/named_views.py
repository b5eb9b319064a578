"""What the views of a frame are called where one of them is chosen."""

from __future__ import annotations

from llm_holes.engine.frames import Frame, View


def named_views(frame: Frame) -> dict[str, View]:
    """The views of a frame by what their tabs are called; a view without a key has its title, or else its number."""
    found: dict[str, View] = {}
    for n, view in enumerate(frame.views, 1):
        name = view.key or view.title
        found[name if name and name not in found else f"view {n}"] = view
    return found
