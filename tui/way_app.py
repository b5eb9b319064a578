"""The half of the app that finds its way: up, deeper, across and back, by search and by the glossary."""

from __future__ import annotations

from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.tui.draw.lesson_text import ways
from llm_holes.tui.game_app import GameApp
from llm_holes.tui.messages import OpenLesson
from llm_holes.tui.screens.pick import PickScreen
from llm_holes.tui.screens.search import SearchScreen


class WayApp(GameApp):
    """`_trail` holds the lessons that lead back."""

    def __init__(self, *args: object, **more: object) -> None:
        super().__init__(*args, **more)  # type: ignore[arg-type]
        self._trail: list[str] = []

    def open_lesson(self, lesson_id: str, remember: bool = True) -> None:
        self.run_worker(self._open(lesson_id, remember), group="open", exclusive=True)

    @property
    def above(self) -> Lesson | None:
        """The lesson that leads to this one."""
        return self.catalog[self.lesson.parent] if self.lesson is not None and self.lesson.parent else None

    @property
    def below(self) -> tuple[Lesson, ...]:
        """The lessons this one leads to."""
        return self.catalog.children(self.lesson.id) if self.lesson is not None else ()

    def action_up(self) -> None:
        if self.above is not None:
            self.post_message(OpenLesson(self.above.id))

    def action_deeper(self) -> None:
        """Into the hole below; where there are several, the learner chooses."""
        self._choose("deeper", [("", lesson) for lesson in self.below])

    def action_go(self) -> None:
        if self.lesson is not None:
            self._choose("go to", [(f"{kind:<12}", other) for kind, other in ways(self.catalog, self.lesson)], ask=True)

    def _choose(self, title: str, found: list[tuple[str, Lesson]], ask: bool = False) -> None:
        def go(index: int | None) -> None:
            if index is not None:
                self.post_message(OpenLesson(found[index][1].id))

        if len(found) == 1 and not ask:
            go(0)
            return
        entries = [(kind + lesson.title, "") for kind, lesson in found]
        self.push_screen(PickScreen(title, entries), go)

    async def action_back(self) -> None:
        if self._trail:
            self.open_lesson(self._trail.pop(), remember=False)

    def action_search(self) -> None:
        self.push_screen(SearchScreen(self.catalog), self._go)

    def action_glossary(self) -> None:
        from llm_holes.tui.screens.glossary import GlossaryScreen

        self.push_screen(GlossaryScreen(self.catalog), self._go)

    def _go(self, lesson_id: str | None) -> None:
        if lesson_id is not None:
            self.post_message(OpenLesson(lesson_id))
