"""Which settings an experiment reads, from its code without running it. No torch, no textual."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SETTINGS = frozenset({"p", "settings"})
"""What the settings are called in experiments."""
SHARED = "llm_holes.lessons.shared."


class Use(NamedTuple):
    """A setting read by its name, and where."""

    name: str
    file: str
    line: int


class Code(NamedTuple):
    """The modules of a lesson: what they read themselves, and the names read in shared modules they import."""

    own: tuple[Use, ...]
    shared: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        return self.shared | {use.name for use in self.own}


def read_by(place: Path, shared: Path) -> Code | None:
    """What the modules in the folder `place` read; `shared` has the modules that several lessons import.

    None if there are none. Raises SyntaxError with the file's name and the line.
    """
    trees = {file.name: _tree(file) for file in _modules(place)}
    if not trees:
        return None
    own = tuple(use for name, tree in trees.items() for use in _uses(tree, name))
    wanted = {f"{name}.py" for tree in trees.values() for name in _shared_imports(tree)}
    others = [file for file in _modules(shared) if file.name in wanted] if shared.is_dir() else []
    return Code(own, frozenset(use.name for file in others for use in _uses(_tree(file), file.name)))


def _modules(folder: Path) -> list[Path]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(".py")), key=lambda file: file.name)


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), file.name)


def _shared_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(SHARED):
            yield (node.module or "").removeprefix(SHARED)


def _uses(tree: ast.Module, file: str) -> Iterator[Use]:
    """`p["name"]`, and the names in `for name in ("a", "b")` where `p[name]` is read."""
    for node in [*_keys(tree), *_listed(tree)]:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield Use(node.value, file, node.lineno)


def _keys(tree: ast.AST) -> list[ast.expr]:
    """What stands in the brackets of `p[…]`."""
    parts = [node for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    return [part.slice for part in parts if isinstance(part.value, ast.Name) and part.value.id in SETTINGS]


def _listed(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        loops: list[ast.For | ast.comprehension] = [node] if isinstance(node, ast.For) else []
        loops += getattr(node, "generators", [])
        read = {key.id for key in _keys(node) if isinstance(key, ast.Name)} if loops else set()
        for loop in loops:
            if isinstance(loop.target, ast.Name) and loop.target.id in read and isinstance(loop.iter, ast.Tuple):
                yield from loop.iter.elts
