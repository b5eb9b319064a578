"""What the kernel does to this process when its parent ends: on Linux only. Torch-free."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1


def signalled_as_orphan(number: signal.Signals) -> None:
    """Has the kernel send this process the signal when its parent ends; nothing elsewhere than on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
