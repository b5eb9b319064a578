"""The program in a real terminal, up to where a lesson can be run."""

from __future__ import annotations

from llm_holes.lessons.catalog import catalog
from tests.support.terminal import Terminal

START = 60.0


def open_lesson(env: dict[str, str], lesson: str) -> Terminal:
    t = Terminal(["llm-holes", "--threads", "1", "--lesson", lesson], env)
    t.until(catalog.load()[lesson].title)
    t.until("ready", START)
    return t
