from __future__ import annotations

from textual.geometry import Region

from llm_holes.engine.frames import RankRace, Value
from llm_holes.tui.draw.rank_race import LINES, MOST, place_facts, rank_race_rows, track_of
from llm_holes.tui.draw.spans import Row
from llm_holes.tui.views.places import PlacesView


class RankRaceView(PlacesView[RankRace]):
    """Ranks step by step; the cursor is (runner, step)."""

    def prepare(self, view: RankRace) -> None:
        self.set_reactive(RankRaceView.cursor, self._inside(*self.cursor, view))

    def _inside(self, runner: int, step: int, view: RankRace) -> tuple[int, int]:
        runners = view.runners[:MOST]
        runner = min(max(runner, 0), max(len(runners) - 1, 0))
        return runner, min(max(step, 0), max(len(runners[runner].ranks) - 1 if runners else 0, 0))

    def layout_rows(self, width: int) -> list[Row]:
        cursor = self.cursor if self.has_focus else None
        return self.fitting(lambda lines: rank_race_rows(self.view, width, lines, cursor), LINES)

    def stepped(self, across: int, down: int) -> tuple[int, int]:
        return self._inside(self.cursor[0] + down, self.cursor[1] + across, self.view)

    def edge(self, end: int) -> tuple[int, int]:
        last = len(self.view.runners[self.cursor[0]].ranks) - 1 if self.view.runners else 0
        return self._inside(self.cursor[0], last if end else 0, self.view)

    def describe(self) -> str:
        return place_facts(self.view, *self.cursor) if self.view.runners else "no steps yet"

    def settings_here(self) -> dict[str, Value]:
        return {}

    def cursor_region(self) -> Region:
        """The whole view: it is low."""
        return Region(0, 0, self.size.width, self.size.height)

    def place_at(self, x: int, y: int) -> tuple[int, int] | None:
        """The runner of the cursor at the step under the pointer."""
        track = track_of(self.view, self.size.width)
        column = (x - track.margin) // track.size if track else -1
        inside = track is not None and 0 <= column < len(track.steps)
        return self._inside(self.cursor[0], track.steps[column][0], self.view) if track and inside else None
