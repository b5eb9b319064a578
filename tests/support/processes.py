"""Which processes are there? For tests that promise to leave none. Linux only."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    """False also for a zombie: it is gone, whoever should collect it has not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def running(environment: str) -> list[int]:
    """The processes that were started with `environment` (as NAME=value), whoever their parent is now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if environment.encode() in variables and alive(int(path.parent.name)):
            found.append(int(path.parent.name))
    return found


def child(pid: int) -> int:
    """The process that this one has started."""
    (number,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(number)


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return held
