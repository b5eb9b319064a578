"""What a model takes in memory against what is free, said before anything is loaded."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from llm_holes.engine.checkpoint.room import FP32, memory
from llm_holes.engine.checkpoint.validate import Checkpoint
from llm_holes.engine.control_groups import groups
from llm_holes.engine.device import Place
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.model.config import Config
from llm_holes.engine.numbers import size

CACHED = 4096
"""Positions of a long text, as most lessons allow at most."""
LOGITS = 4 * 512
"""Rows of logits that a lesson has at its peak: those of a passage, several times over."""
LIMITS = (
    ("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)
"""Of both versions of Linux' control groups: folder, limit, what is used, and what of that is only kept of files."""


def refuse_too_large(name: str, config: Config, checkpoint: Checkpoint, place: Place) -> None:
    """Raises ModelError with the sum if weights, cache and what every lesson needs are more than is free."""
    shapes = [stored.shape for stored in checkpoint.tensors.values()]
    weights = sum(math.prod(shape) * (place.matrix_bytes if len(shape) > 1 else FP32) for shape in shapes)
    tokens = min(config.n_ctx, CACHED)
    cache, peak = tokens * config.kv_bytes_per_token(), LOGITS * config.d_vocab * FP32
    free = free_bytes(place.device)
    if weights + cache + peak > free:
        raise ModelError(
            f"{name} is too large for this machine: {size(weights)} of weights in {place.dtype}, {size(cache)} of "
            f"cache for {tokens:,} tokens and {size(peak)} for a lesson at its peak are "
            f"{size(weights + cache + peak)}, and {size(free)} of {place.device} memory are free",
            "Take a smaller model, --dtype bf16, or a larger machine with --engine ssh://HOST.",
        )


def refuse_copies(lesson: str, parameters: int, copies: int, device: str) -> None:
    """Raises InputError with the sum if a lesson that copies all weights in fp32 so many times has no room for that."""
    needed, free = copies * parameters * FP32, free_bytes(torch.device(device))
    if needed > free:
        times = "a copy" if copies == 1 else f"{copies} copies"
        raise InputError(
            f"“{lesson}” makes {times} of all {parameters:,} weights in fp32, {size(needed)}, and {size(free)} of "
            f"{device} memory are free",
            "Take a smaller model, or close other programs.",
        )


def give_back(device: torch.device) -> None:
    """Returns to the system what was taken for a run and is no longer used: the allocators keep it for the next one, of
    gradients several times the model."""
    if device.type in {"cuda", "mps"}:
        torch.get_device_module(device).empty_cache()
    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def free_bytes(device: torch.device) -> int:
    """Bytes that can be had on the device; of the machine's own memory those that its control groups allow."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return min((_free_in_all(), *_free_in_groups()))


def _free_in_all() -> int:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    # a system that does not say what is free: all there is, so that what can never fit is still refused
    return memory()


def _free_in_groups() -> Iterator[int]:
    """What each control group around this process leaves."""
    for folder, limit, used, kept in LIMITS:
        for group in groups(folder):
            with suppress(OSError, ValueError):
                most = int((group / limit).read_text(encoding="ascii"))
                stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
                of_files = sum(int(stat.get(name, 0)) for name in kept)
                yield most - int((group / used).read_text(encoding="ascii")) + of_files
