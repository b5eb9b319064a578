"""Checks what a learner set against what the lesson's controls allow, in the learner's words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from llm_holes.engine.frames import Scalar, Value
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.lessons.catalog.checks import fits
from llm_holes.lessons.catalog.schema import Control

PLACES = frozenset({"layer", "head", "token"})


class SettingsError(ValueError):
    """A setting the experiment cannot run with; the message says what is allowed."""


def validated(lesson: Lesson, given: Mapping[str, Value], model: ModelInfo) -> dict[str, Value]:
    """All settings of the lesson, defaults filled in. Raises SettingsError.

    A default or preset made for a larger model is brought inside this one's layers and heads; a learner's value is not.
    """
    return completed(lesson.id, lesson.controls, {**given, **_brought_inside(lesson, given, model)}, model)


def _brought_inside(lesson: Lesson, given: Mapping[str, Value], model: ModelInfo) -> dict[str, Value]:
    """The layers and heads among `given` that a preset names and this model does not have, at the last it has."""
    inside: dict[str, Value] = {}
    for control in lesson.controls:
        value = given.get(control.name)
        from_preset = any(value == preset.settings.get(control.name) for preset in lesson.presets)
        if control.kind in PLACES and from_preset and value is not None:
            inside[control.name] = clamped(control, value, model)
    return inside


def completed(
    lesson_id: str, controls: Sequence[Control], given: Mapping[str, Value], model: ModelInfo
) -> dict[str, Value]:
    """A value for each control: the one given, checked, or its default. Raises SettingsError."""
    by_name = {control.name: control for control in controls}
    for name in given:
        if name not in by_name:
            raise SettingsError(_unknown(lesson_id, name, by_name))
    return {
        name: checked(control, given[name], model) if name in given else clamped(control, control.default, model)
        for name, control in by_name.items()
    }


def assigned(lesson: Lesson, assignments: Sequence[str]) -> dict[str, Value]:
    """What assignments such as `text=hello` set, as far as that can be checked without the model. Raises
    SettingsError."""
    controls = {control.name: control for control in lesson.controls}
    settings: dict[str, Value] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set wants NAME=VALUE, not {assignment!r}")
        if name not in controls:
            raise SettingsError(_unknown(lesson.id, name, controls))
        settings[name] = checked(controls[name], parsed(controls[name], text), None)
    return settings


def _unknown(lesson_id: str, name: str, controls: Iterable[str]) -> str:
    return f"{lesson_id} has no setting {name!r}; it has: {', '.join(controls) or 'none'}"


def parsed(control: Control, text: str) -> Scalar:
    """What `--set name=text` or an input field means for this control. Raises SettingsError."""
    if control.kind in {"text", "choice"}:
        return text
    if control.kind == "toggle":
        if text.lower() in {"on", "true", "yes", "1"}:
            return True
        if text.lower() in {"off", "false", "no", "0"}:
            return False
        raise SettingsError(f"{control.name} is on or off, not {text!r}")
    number = float if control.kind == "float" else int
    try:
        return number(text)
    except ValueError:
        wanted = "a number" if control.kind == "float" else "a whole number"
        raise SettingsError(f"{control.name} must be {wanted}, not {text!r}") from None


def bounds(control: Control, model: ModelInfo | None) -> tuple[float | None, float | None]:
    """The smallest and largest value, as far as they are known (layers and heads need the model, and
    a server does not tell them)."""
    if model is not None and model.shows is None and control.kind in PLACES:
        count = {"layer": model.n_layers, "head": model.n_heads, "token": model.d_vocab}[control.kind]
        return control.min if control.min is not None else 0, count - 1
    return control.min, control.max


def checked(control: Control, value: Value, model: ModelInfo | None) -> Scalar:
    """The value, if the control allows it; without a model, layers and heads are not compared. Raises SettingsError."""
    if not fits(control.kind, value):
        raise SettingsError(f"{control.name} must be of kind {control.kind}, not {value!r}")
    assert isinstance(value, str | int | float)
    if control.kind == "choice" and value not in control.choices:
        raise SettingsError(f"{control.name} must be one of {', '.join(control.choices)}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise SettingsError(f"{control.name} must be a finite number, not {value!r}")
    low, high = bounds(control, model)
    if not isinstance(value, str) and ((low is not None and value < low) or (high is not None and value > high)):
        raise SettingsError(f"{control.name} must be {_within(low, high)}, not {value!r}")
    return value


def clamped(control: Control, value: Value, model: ModelInfo | None) -> Scalar:
    """The nearest value that the control and the model allow; the default where it is of another kind."""
    if not _possible(control, value):
        value = control.default
    assert isinstance(value, str | int | float)
    if isinstance(value, str | bool):
        return value
    low, high = bounds(control, model)
    value = value if low is None else max(value, low)
    value = value if high is None else min(value, high)
    return float(f"{value:.6g}") if control.kind == "float" else int(value)


def _possible(control: Control, value: Value) -> bool:
    if control.kind == "choice":
        return value in control.choices
    return fits(control.kind, value) and (not isinstance(value, float) or math.isfinite(value))


def _within(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low:g}" if high is None else f"at most {high:g}"
    return f"between {low:g} and {high:g}"
