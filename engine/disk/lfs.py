"""What a clone without Git LFS leaves in the place of a large file. Torch-free."""

from __future__ import annotations

from pathlib import Path

from llm_holes.engine.errors import ModelError

POINTER = b"version https://git-lfs.github.com/spec/"


def refuse_pointer(path: Path) -> None:
    """Raises ModelError if the file is a Git LFS pointer."""
    with path.open("rb") as handle:
        if handle.read(len(POINTER)) == POINTER:
            raise ModelError(
                f"{path} is a Git LFS pointer: the clone has the file's name, not its content",
                f"Run `git lfs pull` in {path.parent}.",
            )
