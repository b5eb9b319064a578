"""Writing a safetensors file of fp32 tensors piece by piece: a large model need not be in memory. Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Chunks = Iterator[npt.NDArray[np.float32]]


def write(
    target: Path,
    shapes: Mapping[str, tuple[int, ...]],
    chunks: Callable[[str], Chunks],
    progress: Callable[[int, int], None],
) -> None:
    """Writes the tensors in the order of their names; `chunks(name)` gives the numbers of one, rows first;
    progress(bytes written, bytes in all)."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    total = 0
    for name in sorted(shapes):
        size = 4 * math.prod(shapes[name])
        header[name] = {"dtype": "F32", "shape": shapes[name], "data_offsets": (total, total + size)}
        total += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    done = 0
    with target.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for name in sorted(shapes):
            for chunk in chunks(name):
                out.write(chunk.astype("<f4", copy=False).data)
                done += chunk.nbytes
                progress(done, total)
