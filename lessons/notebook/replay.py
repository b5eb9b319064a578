"""Compares a recorded run with the same run made again. Pure functions; no torch, no textual."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeGuard

import msgspec

from llm_holes.engine.frames import Scalar, Value
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.learner.events import ForeignFile
from llm_holes.lessons.notebook.notebook import Entry, Model, Recorded, from_json, parse_lines, seal_holds

TOLERANCE = 1e-3
"""Numbers that are not whole may differ by this share; everything else must be equal."""

ROUNDING = 1e-3
"""Differences that should be zero (`_max_abs_diff`) are rounding errors, and agree if both are below this."""

TIMING = re.compile(r"(^|_)(ms|per_s|speedup)(_|$)")
NOISE = "_max_abs_diff"

Verdict = Literal["reproduced", "differs", "not comparable"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measurement, recorded and measured again. `difference` is given between two numbers."""

    name: str
    verdict: Verdict
    before: Recorded
    after: Recorded
    difference: float | None = None


class _Printed(msgspec.Struct, frozen=True):
    """What `llm-holes run --json` prints, as far as it matters here."""

    lesson: str
    settings: dict[str, Value]
    measured: dict[str, Recorded]
    model: Model | None = None
    versions: dict[str, str] = {}


def read_transcript(data: bytes, name: str) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """The entries of an export, a `notebook.jsonl` or what `run --json` prints, and notices about lines that are none.
    Raises ForeignFile if there is nothing to run again."""
    try:
        whole = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        whole = None
    if isinstance(whole, dict) and "format" in whole:
        return from_json(data), ()
    if isinstance(whole, dict) and "frames" in whole:
        return (_printed(data),), ()
    entries, notices = parse_lines(data, name)
    if not entries:
        raise ForeignFile(notices[0] if notices else "it is empty")
    return entries, notices


def compare(before: Mapping[str, Recorded], after: Mapping[str, Recorded]) -> tuple[Comparison, ...]:
    """Each measurement of either run. What only one of them has is not comparable, unless it is missing now: then the
    record claims something the program does not measure, and it differs."""
    names = dict.fromkeys([*before, *after])
    return tuple(_compared(name, before, after) for name in names)


def doubts(entry: Entry, model: ModelInfo | None, versions: Mapping[str, str]) -> list[str]:
    """What is to be said before any number: a changed record, another model, other versions."""
    found = []
    if not seal_holds(entry):
        found.append("This record was changed after the run: it does not fit its seal.")
    if entry.model is None:
        found.append("The record does not say which model it was made with.")
    elif model is not None and entry.model.sha256 != model.sha256:
        found.append(
            f"Another model: recorded with {entry.model.name} (sha256 {entry.model.sha256[:12]}…), "
            f"run again with {model.name} (sha256 {model.sha256[:12]}…)."
        )
    elif model is not None and entry.model.dtype and entry.model.dtype != model.dtype:
        found.append(f"Recorded in {entry.model.dtype}, run again in {model.dtype}.")
    changed = [
        f"{name} {old} → {versions[name]}" for name, old in entry.versions.items() if versions.get(name, old) != old
    ]
    return found + ([f"Other versions: {', '.join(changed)}."] if changed else [])


def changed_settings(entry: Entry, settings: Mapping[str, Value]) -> list[str]:
    """Settings of the new run that are not the recorded ones, a sentence for each."""
    return [
        f"The setting {name} was {entry.settings.get(name, 'not recorded')!r} and is {settings.get(name, 'gone')!r}."
        for name in dict.fromkeys([*entry.settings, *settings])
        if name not in entry.settings or name not in settings or entry.settings[name] != settings[name]
    ]


def _compared(name: str, before: Mapping[str, Recorded], after: Mapping[str, Recorded]) -> Comparison:
    old, new = before.get(name), after.get(name)
    difference = new - old if _is_number(old) and _is_number(new) else None
    if name not in after:
        return Comparison(name, "differs", old, None)
    if name not in before or TIMING.search(name):
        return Comparison(name, "not comparable", old, new, difference)
    near = _both_small if name.endswith(NOISE) else _close
    return Comparison(name, "reproduced" if _same(old, new, near) else "differs", old, new, difference)


def _same(old: Recorded, new: Recorded, near: Callable[[float, float], bool]) -> bool:
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(_same(a, b, near) for a, b in zip(old, new, strict=True))
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(value, new[name], near) for name, value in old.items())
    if _is_number(old) and _is_number(new) and (isinstance(old, float) or isinstance(new, float)):
        return near(old, new)
    return isinstance(old, bool) is isinstance(new, bool) and old == new


def _close(old: float, new: float) -> bool:
    return math.isclose(old, new, rel_tol=TOLERANCE)


def _both_small(old: float, new: float) -> bool:
    return max(abs(old), abs(new)) < ROUNDING or _close(old, new)


def _is_number(value: Recorded | Scalar) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _printed(data: bytes) -> Entry:
    try:
        run = msgspec.json.decode(data, type=_Printed)
    except msgspec.DecodeError as error:
        raise ForeignFile(f"it is not what `llm-holes run --json` prints: {error}") from None
    return Entry(
        lesson=run.lesson, settings=run.settings, measured=run.measured, model=run.model, versions=run.versions
    )
