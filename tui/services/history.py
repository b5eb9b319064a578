"""Where the learner came from, as a browser keeps it."""

from __future__ import annotations


class History:
    """The lessons that lead back from the one on the page."""

    def __init__(self) -> None:
        self._trail: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._trail)

    def remember(self, lesson_id: str) -> None:
        self._trail.append(lesson_id)

    def back(self) -> str | None:
        """The lesson before this one, which is then forgotten; None at the beginning."""
        return self._trail.pop() if self._trail else None
