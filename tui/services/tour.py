"""Where the learner is on the tour, and what reaching a stop of it sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llm_holes.tui.services.settings import Settings
from llm_holes.tui.services.steps import Steps

if TYPE_CHECKING:
    from llm_holes.lessons.catalog.catalog import Catalog, Lesson
    from llm_holes.lessons.catalog.tour import Stop


class Tour:
    """A walk through steps of several lessons. Whoever leaves it stays where it led.

    Args:
        script: the stops, asked for when the tour begins.
    """

    def __init__(
        self, catalog: Catalog, settings: Settings, steps: Steps, script: Callable[[], Sequence[Stop]]
    ) -> None:
        self._catalog, self._settings, self._steps, self._script = catalog, settings, steps, script
        self._stops: Sequence[Stop] = ()
        self._at = 0
        self.on = False

    @property
    def number(self) -> int:
        """Of the stop, from 1 on; 0 when the learner is not on the tour."""
        return self._at + 1 if self.on else 0

    @property
    def count(self) -> int:
        return len(self._stops)

    def begin(self) -> Lesson:
        """At the first stop, or where the tour was left. The lesson of that stop."""
        if not self._stops:
            self._stops = self._script()
        self.on = True
        return self._lesson

    def move(self, count: int) -> Lesson | None:
        """So many stops on, or back as far as there are any. The lesson of that stop; None beyond the last."""
        if self._at + count >= len(self._stops):
            return None
        self._at = max(self._at + count, 0)
        return self._lesson

    def arrive(self) -> None:
        """The lesson is on the page: enters its step and sets what the stop says."""
        from llm_holes.lessons.catalog.tour import step_of

        lesson, stop = self._lesson, self._stops[self._at]
        self._steps.enter(lesson, step_of(stop, lesson) or 0)
        self._settings.change(lesson, stop.settings)

    def leave(self) -> None:
        self.on = False

    def finish(self) -> None:
        """Leaves the tour, which begins anew the next time."""
        self.on, self._at = False, 0

    def lessons(self) -> list[Lesson]:
        """Those it leads through, in its order."""
        return [self._catalog[name] for name in dict.fromkeys(stop.lesson for stop in self._stops)]

    @property
    def _lesson(self) -> Lesson:
        return self._catalog[self._stops[self._at].lesson]
