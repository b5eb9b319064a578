"""Files in the learner's state directory: replaced atomically, appended whole, under a lock all instances honour.

Every function may raise OSError; `Busy`, which is one, where another instance keeps the lock.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WAIT_SECONDS = 0.5
POLL_SECONDS = 0.002


KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class Busy(OSError):
    """Another instance has kept the lock for too long."""


def state_folder() -> Path:
    """Where the learner's state lives: `LLM_HOLES_STATE`, else the XDG state directory."""
    given = os.environ.get("LLM_HOLES_STATE")
    if given:
        return Path(given)
    from platformdirs import user_state_path

    return user_state_path("llm-holes")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of the file at `path`, whose folder is made if it is missing."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock", timeout=WAIT_SECONDS, poll_interval=POLL_SECONDS, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(f"{path.name} is in use by another llm-holes") from None
    except NotImplementedError as error:
        raise OSError(f"the file system of {path.parent} has no locks") from error
    try:
        yield
    finally:
        lock.release()


def replace(path: Path, data: bytes) -> None:
    """Puts the data in place of the file: whoever reads it, at any time, finds the old content or the new one. The old
    file stays as `previous(path)`."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _keep_previous(path, Path(f"{name}.old"))
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def append_line(path: Path, line: bytes) -> None:
    """Adds one line to the file in one write; half a line that a killed process left is ended first."""
    with locked(path):
        if notice := no_file_aside(path):
            raise OSError(notice)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            data = (b"\n" if torn else b"") + line + b"\n"
            if os.write(handle, data) < len(data):
                raise OSError(f"{path.parent} is full")
            os.fsync(handle)
        finally:
            os.close(handle)


def set_aside(path: Path, why: str) -> Path:
    """Renames a file that cannot be used, so that nothing overwrites it; returns its new path."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.stem}.{why}-{number}{path.suffix}")):
        number += 1
    os.rename(path, aside)
    return aside


def no_file_aside(path: Path) -> str:
    """Sets aside what is in the file's place and no file, or a link to such a thing: to read a pipe may take for ever.
    What the learner must be told, "" if there is a file or nothing."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError:
        return ""
    if kind == stat.S_IFREG:
        return ""
    aside = set_aside(path, "no-file")
    return f"{path} was {KINDS.get(kind, 'no file')}, not a file; it is now {aside.name}."


def _keep_previous(path: Path, link: Path) -> None:
    # a second name for the same content: no moment without a file, and nothing is copied
    with suppress(OSError):
        os.link(path, link)
        os.replace(link, previous(path))


def sweep(folder: Path, name: str) -> None:
    """Removes what killed processes left of files they were writing. Only under the lock."""
    for left in folder.glob(f".{name}-*"):
        with suppress(OSError):
            left.unlink()
