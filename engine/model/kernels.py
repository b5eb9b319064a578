"""The loops of a step of decoding, compiled for this processor by numba.

Such a step does two operations with each weight that it reads, so that it takes as long as reading: a loop that does
nothing but run along the rows is as fast as memory is, and fewer bits are fewer milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.core import config
from platformdirs import user_cache_path

Loop = TypeVar("Loop", bound=Callable[..., object])
Floats = npt.NDArray[np.float32]
Bf16s = npt.NDArray[np.uint16]
"""The upper halves of fp32 numbers, which numpy has no type for."""

GROUP = 32
"""Inputs that share a scale."""
HALF = 48
"""Rows whose 4-bit codes are the low halves of as many bytes; the high halves are the codes of the HALF rows after."""
FAST = {"reassoc", "contract", "nsz"}
"""What a sum's order may be is left to the compiler; infinities and what is no number stay what they are."""

config.CACHE_DIR = config.CACHE_DIR or str(user_cache_path("llm-holes") / "loops")  # pyright: ignore


def compiled(signature: str) -> Callable[[Loop], Loop]:
    """A loop over arrays of these types, in machine code as soon as the module is imported: from the disk if it was
    compiled before, and anew each time where nothing can be kept or what was kept is damaged."""

    def made(loop: Loop) -> Loop:
        how = {"fastmath": FAST, "error_model": "numpy", "nogil": True}
        try:
            return njit(signature, cache=True, **how)(loop)  # type: ignore[no-any-return]
        except Exception:
            return njit(signature, **how)(loop)  # type: ignore[no-any-return]

    return made


@njit(inline="always")  # type: ignore[untyped-decorator]
def wide(half: np.uint16) -> np.float32:
    """The fp32 number whose upper half this is."""
    return np.uint32(half << 16).view(np.float32)


@compiled("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def dots_fp32(w: Floats, xs: Floats, ys: Floats) -> None:
    """Each row of w [out, in] times each of the vectors xs [n, in], into ys [n, out]."""
    for row in range(len(w)):
        for n in range(len(xs)):
            y = np.float32(0)
            for i in range(w.shape[1]):
                y += w[row, i] * xs[n, i]
            ys[n, row] = y


@compiled("void(uint16[:, ::1], float32[:, ::1], float32[:, ::1])")
def dots_bf16(w: Bf16s, xs: Floats, ys: Floats) -> None:
    """Each row of w [out, in], in bfloat16, times each of the vectors xs [n, in], into ys [n, out]."""
    for row in range(len(w)):
        for n in range(len(xs)):
            y = np.float32(0)
            for i in range(w.shape[1]):
                y += wide(w[row, i]) * xs[n, i]
            ys[n, row] = y


@compiled("void(int8[:, ::1], float32[::1], float32[:, ::1], float32[:, ::1])")
def dots_int8(codes: npt.NDArray[np.int8], scales: Floats, xs: Floats, ys: Floats) -> None:
    """Each row of codes [out, in] in 8 bits, each worth the scale [out] of its row, times each of the vectors
    xs [n, in], into ys [n, out]."""
    for row in range(len(codes)):
        for n in range(len(xs)):
            y = np.float32(0)
            for i in range(codes.shape[1]):
                y += np.float32(codes[row, i]) * xs[n, i]
            ys[n, row] = scales[row] * y


@compiled("void(uint8[:, :, :, ::1], uint16[:, :, ::1], uint16[:, :, ::1], float32[:, ::1], float32[:, ::1])")
def dots_int4(codes: npt.NDArray[np.uint8], scales: Bf16s, offsets: Bf16s, xs: Floats, ys: Floats) -> None:
    """Each row of a matrix in 4 bits times each of the vectors xs [n, in], into ys [n, out].

    Two codes are in a byte, [blocks, groups, GROUP, HALF], and each is worth code · scale + offset of its group,
    [blocks, groups, rows of a block] in bfloat16. One number of a vector is multiplied with the codes of a whole block
    of rows, since a processor does that at once; four of them before the sums are written back.
    """
    low, high = np.empty(HALF, np.float32), np.empty(HALF, np.float32)
    for n in range(len(xs)):
        for block in range(len(codes)):
            y = ys[n, 2 * HALF * block : 2 * HALF * (block + 1)]
            y[:] = 0
            for group in range(codes.shape[1]):
                x, part = xs[n, GROUP * group : GROUP * (group + 1)], codes[block, group]
                low[:] = high[:] = 0
                for first in range(0, GROUP, 4):
                    for row in range(HALF):
                        a, b = np.float32(0), np.float32(0)
                        for i in range(first, first + 4):
                            a += x[i] * np.float32(np.int32(part[i, row] & 15))
                            b += x[i] * np.float32(np.int32(part[i, row] >> 4))
                        low[row] += a
                        high[row] += b
                total = x.sum()
                scale, offset = scales[block, group], offsets[block, group]
                for row in range(HALF):
                    y[row] += wide(scale[row]) * low[row] + wide(offset[row]) * total
                    y[HALF + row] += wide(scale[HALF + row]) * high[row] + wide(offset[HALF + row]) * total


@compiled("float32[:, :, ::1](uint8[:, :, :, ::1], uint16[:, :, ::1], uint16[:, :, ::1])")
def columns_int4(codes: npt.NDArray[np.uint8], scales: Bf16s, offsets: Bf16s) -> Floats:
    """The numbers that the codes of `dots_int4` are worth, [in, blocks, rows of a block]."""
    blocks, groups = codes.shape[:2]
    w = np.empty((groups * GROUP, blocks, 2 * HALF), np.float32)
    for block in range(blocks):
        for group in range(groups):
            scale, offset = scales[block, group], offsets[block, group]
            for i in range(GROUP):
                part, column = codes[block, group, i], w[group * GROUP + i, block]
                for row in range(HALF):
                    low, high = np.float32(np.int32(part[row] & 15)), np.float32(np.int32(part[row] >> 4))
                    column[row] = wide(scale[row]) * low + wide(offset[row])
                    column[HALF + row] = wide(scale[HALF + row]) * high + wide(offset[HALF + row])
    return w


@compiled("void(float32[::1], float32, float32[:, ::1], float32[:, ::1])")
def rms_norms(gain: Floats, eps: float, xs: Floats, ys: Floats) -> None:
    """Each of the vectors xs [n, d] divided by the root of its mean square, times `gain` [d], into ys [n, d]."""
    for n in range(len(xs)):
        squares = np.float32(0)
        for i in range(len(gain)):
            squares += xs[n, i] * xs[n, i]
        scale = np.float32(1) / np.sqrt(squares / np.float32(len(gain)) + eps)
        for i in range(len(gain)):
            ys[n, i] = xs[n, i] * scale * gain[i]
