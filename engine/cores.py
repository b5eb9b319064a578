"""How many threads a model gets: of the cores that this process may have, those that nobody else uses."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from llm_holes.engine.control_groups import groups

PASSIVE = {
    "OMP_WAIT_POLICY": "passive",  # GNU's OpenMP, which torch has on Linux
    "KMP_BLOCKTIME": "0",  # LLVM's and Intel's, which it has elsewhere
}
"""Makes OpenMP's threads sleep while they wait: those that spin take the cores of others, the front end's too. It is
read when torch is imported."""
STAT = Path("/proc/stat")
IDLE = slice(3, 5)
"""Of a core's times in STAT those in which it did nothing, or waited for a disk."""


class Cores:
    """Watches the machine from when it is made, while the engine starts, which takes seconds."""

    def __init__(self) -> None:
        self._began = time.monotonic(), time.process_time(), _times()

    def threads(self) -> int:
        """One for each core that was free or this process' own, but one is left for the front end; at least one."""
        return max(1, round(min(self._free(), allowed())) - 1)

    def _free(self) -> float:
        began, used, (idle, whole) = self._began
        idle_now, whole_now = _times()
        if whole_now == whole:  # a system that does not say what its cores do
            return allowed()
        own = (time.process_time() - used) / (time.monotonic() - began)
        return len(_cores()) * (idle_now - idle) / (whole_now - whole) + own


def allowed() -> float:
    """Cores' worth of time that affinity and control groups let this process have."""
    return min([len(_cores()), *_quotas()])


def _cores() -> set[int]:
    with suppress(AttributeError):  # only Linux has it
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _times() -> tuple[int, int]:
    """How long this process' cores did nothing, and how long they have been there, together, in ticks; 0, 0 where the
    system says it of none of them."""
    lines = STAT.read_text(encoding="ascii").splitlines() if STAT.exists() else []
    times = dict(line.split(maxsplit=1) for line in lines if line.startswith("cpu"))
    own = [list(map(int, times[name].split()[:8])) for core in _cores() if (name := f"cpu{core}") in times]
    return sum(sum(core[IDLE]) for core in own), sum(map(sum, own))


def _quotas() -> Iterator[float]:
    """The cores' worth of time that each control group around this process has; nothing for those without a limit."""
    for group in groups(""):
        with suppress(OSError, ValueError):  # "max" is no number
            quota, period = map(int, (group / "cpu.max").read_text(encoding="ascii").split())
            yield quota / period
    for group in groups("cpu"):
        with suppress(OSError, ValueError):
            quota, period = (int((group / f"cpu.cfs_{n}_us").read_text(encoding="ascii")) for n in ("quota", "period"))
            if quota > 0:
                yield quota / period
