"""Whether a model can have room in this machine's memory at all, asked before it is read. Torch-free.

What it takes and what is free is asked when it is loaded (`engine/memory.py`).
"""

from __future__ import annotations

import os

from llm_holes.engine.errors import ModelError

FP32, BF16 = 4, 2
"""Bytes of a number."""


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def refuse_hopeless(numbers: int) -> None:
    """Raises ModelError for a model of so many numbers that they do not even fit into the memory in 16 bits: each token
    would have to wait for the disk."""
    needed, there = BF16 * numbers, memory()
    if needed > there:
        raise ModelError(
            f"the model has {numbers:,} numbers, which take {needed / 1e9:,.1f} GB in bf16; "
            f"this machine has {there / 1e9:,.1f} GB of memory",
            "Use a smaller model, or an engine on a larger machine (--engine ssh://host).",
        )
