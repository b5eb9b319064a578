"""The command that makes a run again, as it is typed into a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from llm_holes.engine.frames import Value
from llm_holes.lessons.catalog.catalog import Lesson
from llm_holes.tui.draw.sanitize import visible

NAMED = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def run_command(lesson: Lesson, settings: Mapping[str, Value], model: str = "", server: str = "") -> tuple[str, ...]:
    """`llm-holes run`, with every setting that is not the lesson's default; `model` is what `--model` was given, and
    `server` the address of the server that it was asked at. The parts are quoted, and nothing in them steers a
    terminal."""
    defaults = lesson.defaults()
    changed = {name: value for name, value in settings.items() if value != defaults.get(name)}
    options = [f"--set {quoted(f'{name}={_written(value)}')}" for name, value in changed.items()]
    if server:
        options.append(f"--engine {quoted(server)}")
    if model:
        options.append(f"--model {quoted(model)}")
    return (f"llm-holes run {quoted(lesson.id)}", *options)


def quoted(text: str) -> str:
    """The text as one word of a shell: between '' or, where a character of it cannot be shown, between $''."""
    if visible(text) == text:
        return shlex.quote(text)
    return f"$'{''.join(map(_escaped, text))}'"


def _escaped(character: str) -> str:
    if character in NAMED:
        return NAMED[character]
    if visible(character) == character:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _written(value: Value) -> str:
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
