"""Reading a file of one folder, and of nothing else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from llm_holes.engine.errors import InputError

MAX_BYTES = 4096
MAX_PARTS = 8


def read_text(folder: Path, path: str) -> str:
    """The text of `path` inside `folder`, at most MAX_BYTES of it. Raises InputError for whatever leads elsewhere.

    The path is walked one name at a time from the opened folder and no link is followed, so nothing that changes on
    the disk in between can lead out of it either.
    """
    parts = path.split("/")
    if not path or len(parts) > MAX_PARTS or any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise InputError(f"refused: {path!r} is not a plain path inside the folder")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            inner = _open(part, flags, here, path)
            os.close(here)
            here = inner
        if not stat.S_ISREG(os.fstat(here).st_mode):
            raise InputError(f"refused: {path!r} is not a file")
        return os.read(here, MAX_BYTES).decode("utf-8", "replace")
    finally:
        os.close(here)


def _open(part: str, flags: int, folder: int, path: str) -> int:
    try:
        return os.open(part, flags, dir_fd=folder)
    except (OSError, UnicodeEncodeError) as error:
        if _is_link(part, folder):
            raise InputError(f"refused: {path!r} leads through a link") from None
        missing = isinstance(error, FileNotFoundError)
        raise InputError(f"there is no file {path!r}" if missing else f"refused: {path!r} cannot be read") from None


def _is_link(part: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode)
    except (OSError, UnicodeEncodeError):
        return False
