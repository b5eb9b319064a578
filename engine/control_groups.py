"""Linux' control groups, by which a container or a classroom limits what a process takes of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def groups(controller: str) -> Iterator[Path]:
    """The folders of the groups of this process under one controller, its own first; "" are those of version 2. A
    container sees its own as the outermost."""
    root = ROOT / controller
    with suppress(OSError):
        for line in OWN.read_text(encoding="utf-8").splitlines():
            _, names, path = line.split(":", 2)
            if controller in names.split(","):
                own = root / path.lstrip("/")
                yield from (own, *(group for group in own.parents if group.is_relative_to(root)))
