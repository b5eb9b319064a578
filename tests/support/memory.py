"""How much memory this process has had. Linux only."""

from __future__ import annotations

import re
from pathlib import Path


def resident() -> int:
    """The most memory this process has had since this was asked before, in bytes."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) * 1024
