"""Looking for NaN and infinity among weights, which make everything computed with them meaningless. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from llm_holes.engine.checkpoint.tensors import FP8, Stored
from llm_holes.engine.errors import ModelError

CHUNK = 2**20
# a number whose exponent has all bits set is NaN or infinite; in E4M3, where these bits are numbers too, only NaN is
SPECIAL: dict[str, tuple[str, int]] = {
    "F32": ("<u4", 0x7F800000),
    "BF16": ("<u2", 0x7F80),
    "F16": ("<u2", 0x7C00),
    FP8: ("u1", 0x7F),
}


def refuse_special(path: Path, tensors: Iterable[Stored]) -> None:
    """Raises ModelError if one of the tensors, all of the file `path`, holds NaN or infinity. Reads all of them."""
    with path.open("rb") as handle:
        for tensor in tensors:
            kind, mask = SPECIAL[tensor.dtype]
            handle.seek(tensor.start)
            left = tensor.bytes
            while left > 0 and (data := handle.read(min(CHUNK, left))):
                left -= len(data)
                if not finite_bits(np.frombuffer(data, kind), mask):
                    raise special(path, tensor.name)


def finite_bits(bits: npt.NDArray[np.unsignedinteger], mask: int) -> bool:
    return not bits.size or int((bits & bits.dtype.type(mask)).max()) != mask


def special(path: Path, name: str) -> ModelError:
    return ModelError(
        f"the weights in {path.name} hold NaN or infinity, first in {name}, so that nothing can be computed with them",
        "Use a checkpoint from before its training or conversion went wrong.",
    )
