"""Folders for the time of a run, and those that a killed process could not remove."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

NAME = "llm-holes-{}-"
LEFT = re.compile(r"llm-holes-(\d+)-\w+")
SURE_SECONDS = 3600.0
"""A folder this old is nobody's whose process is gone; a younger one may be of a process in another container."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder, which is removed at the end; before it is made, what killed processes left of theirs is."""
    _sweep(Path(gettempdir()))
    with TemporaryDirectory(prefix=NAME.format(os.getpid())) as name:
        yield Path(name)


def _sweep(folder: Path) -> None:
    for left in folder.glob(NAME.format("*") + "*"):
        named = LEFT.fullmatch(left.name)
        with suppress(OSError):
            stat = left.lstat()
            old = time.time() - stat.st_mtime > SURE_SECONDS
            if named and old and stat.st_uid == os.getuid() and not _lives(int(named[1])):
                shutil.rmtree(left)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
