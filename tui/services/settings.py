"""The settings of every lesson: one owner, one rule for what a control may hold."""

from __future__ import annotations

from collections.abc import Mapping

from llm_holes.engine.frames import Scalar, Value
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.settings import clamped


class Settings:
    """What each lesson's controls are set to, always inside what the control and the model allow.

    Widgets show these values and ask for changes; runs take them.
    """

    def __init__(self) -> None:
        self.model: ModelInfo | None = None
        self._values: dict[str, dict[str, Value]] = {}

    def of(self, lesson: Lesson) -> dict[str, Scalar]:
        """All settings of the lesson: its defaults until something else is set."""
        values = self._values.get(lesson.id, {})
        return {
            control.name: clamped(control, values.get(control.name, control.default), self.model)
            for control in lesson.controls
        }

    def change(self, lesson: Lesson, values: Mapping[str, Value]) -> None:
        """Sets some controls; names the lesson has no control for are passed over."""
        self._values[lesson.id] = {**self.of(lesson), **values}

    def are(self, lesson: Lesson, values: Mapping[str, Value]) -> bool:
        """Whether the controls named hold these values, as far as the model has room for them."""
        now = self.of(lesson)
        return all(
            now[control.name] == clamped(control, values[control.name], self.model)
            for control in lesson.controls
            if control.name in values
        )
