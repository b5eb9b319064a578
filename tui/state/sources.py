"""Finds the code a lesson runs, without importing it: torch must stay out of this process."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from llm_holes.lessons.catalog.catalog import Lesson


@dataclass(frozen=True, slots=True)
class Source:
    """A piece of code: what it is called, where it begins, and its text."""

    name: str
    line: int
    text: str


class NotFound(Exception):
    """There is no such code; the message says what is missing."""


def sources(lesson: Lesson) -> list[Source]:
    """The lesson's experiment, then what its front matter names as `module:name`."""
    return [source(lesson.module)] + [source(name) for name in (lesson.data.code)]


def source(name: str) -> Source:
    """What `found` finds, or a comment that says why there is nothing."""
    try:
        return found(name)
    except NotFound as error:
        return Source(name, 1, f"# {error}")


def found(name: str) -> Source:
    """A module, or with `module:name` a class, function or constant of it (dots go inside a class). Raises NotFound."""
    module, _, member = name.partition(":")
    try:
        spec = find_spec(module)
        text = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    except (ImportError, OSError, ValueError) as error:
        raise NotFound(f"cannot be read: {error}") from None
    if not text:
        raise NotFound("not there yet")
    return _member(name, text, member.split(".")) if member else Source(name, 1, text)


def _member(name: str, text: str, path: list[str]) -> Source:
    body: list[ast.stmt] = ast.parse(text).body
    node: ast.stmt | None = None
    for part in path:
        node = next((statement for statement in body if part in _names(statement)), None)
        if node is None:
            raise NotFound(f"{part} is not in this module")
        body = getattr(node, "body", [])
    assert node is not None
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return Source(name, first, "\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n")


def _names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {statement.name}
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
