"""The slower memory that blocks of keys and values are moved to: a file, or the host's memory beside a GPU."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor

from llm_holes.engine.errors import InputError

PIECE = 2**20


class Tier(Protocol):
    """This many slots of one shape. What is written is copied, what is read is a copy."""

    def write(self, slot: int, block: Tensor) -> None: ...

    def read(self, slot: int) -> Tensor: ...

    def close(self) -> None:
        """Gives the memory back; nothing is left behind."""


def tier_for(device: torch.device, slots: int, shape: Sequence[int]) -> Tier:
    """Where blocks of a model on `device` go: from a GPU to the host's memory, from there to a file."""
    return FileTier(slots, shape) if device.type == "cpu" else HostTier(slots, shape, device)


class FileTier:
    """A file without a name, mapped into memory: the system removes it when it is closed, however the process ends.

    Raises InputError if the disk has no room: the whole file is written at once, since a mapped page that cannot be
    stored would end the process.
    """

    def __init__(self, slots: int, shape: Sequence[int], folder: str | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # it lives as long as the cache
        size = slots * torch.Size(shape).numel() * 4
        try:
            _fill(self._file, size)
        except OSError as error:
            self._file.close()
            raise InputError(
                f"{size / 2**20:,.0f} MiB for the cache cannot be written to {folder or tempfile.gettempdir()}: "
                f"{error.strerror}",
                "Free some space, set TMPDIR to another folder, or choose a shorter context.",
            ) from None
        self._slots = torch.from_numpy(np.memmap(self._file, np.float32, "r+", shape=(slots, *shape)))

    def write(self, slot: int, block: Tensor) -> None:
        self._slots[slot] = block

    def read(self, slot: int) -> Tensor:
        return self._slots[slot].clone()

    def close(self) -> None:
        self._slots = torch.empty(0)
        self._file.close()


class HostTier:
    """The host's memory, for a model on another device; pinned where that makes copies quicker."""

    def __init__(self, slots: int, shape: Sequence[int], device: torch.device) -> None:
        self._device = device
        self._slots = torch.empty(slots, *shape, device="cpu", pin_memory=device.type == "cuda")

    def write(self, slot: int, block: Tensor) -> None:
        self._slots[slot].copy_(block)

    def read(self, slot: int) -> Tensor:
        return self._slots[slot].to(self._device, copy=True)

    def close(self) -> None:
        self._slots = torch.empty(0)


def _fill(file: BinaryIO, size: int) -> None:
    for start in range(0, size, PIECE):
        file.write(bytes(min(PIECE, size - start)))
    file.flush()
    os.fsync(file.fileno())
