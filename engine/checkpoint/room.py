"""Whether a model has room in this machine's memory. Torch-free."""

from __future__ import annotations

import os

from llm_holes.engine.errors import ModelError

FP32 = 4


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def refuse_too_large(numbers: int) -> None:
    """Raises ModelError for a model of so many numbers that they do not fit into the memory as fp32: each token would
    have to wait for the disk."""
    needed, there = FP32 * numbers, memory()
    if needed > there:
        raise ModelError(
            f"the model has {numbers:,} numbers, which take {needed / 1e9:,.1f} GB as fp32; "
            f"this machine has {there / 1e9:,.1f} GB of memory",
            "Use a smaller model, or an engine on a larger machine (--engine ssh://host).",
        )
