"""One number, bit by bit, in each of the formats: its sign, how large it is, its digits."""

from __future__ import annotations

from typing import NamedTuple
from typing import cast as cast_type

import torch
from torch import Tensor

from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Scalar, Table
from llm_holes.engine.model.number_formats import DTYPES, FP4, NF4, Format, cast, levels
from llm_holes.engine.numbers import LARGEST, SMALLEST, exact, figure
from llm_holes.lessons.shared.typed import numbers

WIDTHS: dict[str, tuple[int, int]] = {
    "FP32": (8, 23),
    "BF16": (8, 7),
    "FP8 E5M2": (5, 2),
    "FP8 E4M3": (4, 3),
    "FP4": (2, 1),
    "INT8": (0, 7),
    "NF4": (0, 4),
}
"""Bits for the exponent and for the digits, after one for the sign; NF4 has only the place in its list."""


class Held(NamedTuple):
    """A number in a format: its bits in three fields, and what they say."""

    sign: str
    exponent: str
    digits: str
    value: float


def typed_number(text: str) -> float:
    """The one number that was typed. Raises InputError."""
    found = numbers(text, "number")
    if len(found) != 1:
        raise InputError(f"one number, please, not {len(found)}", "Type a number, such as 0.1.")
    return float(found[0])


def held(x: float, name: str) -> Held:
    """x as the format of this name holds it, without a scale."""
    exponent, digits = WIDTHS[name]
    number = torch.tensor([x], dtype=torch.float32)
    number = number if name == "FP32" else cast(number, _kind(name))
    if name == "NF4":
        place = int((torch.tensor(NF4) == number).nonzero()[0, 0])
        return Held("", "", f"{place:04b}", float(number))
    bits = f"{_code(number, name):0{1 + exponent + digits}b}"
    return Held(bits[0], bits[1 : 1 + exponent], bits[1 + exponent :], float(number))


def _kind(name: str) -> Format | int:
    return 8 if name == "INT8" else cast_type(Format, name)


def _code(number: Tensor, name: str) -> int:
    """The bits of a number [1] that the format holds exactly, as a whole number of 0 or more."""
    if name == "FP32":
        return int(number.view(torch.int32)) & 0xFFFFFFFF
    if name == "BF16":
        return int(number.bfloat16().view(torch.int16)) & 0xFFFF
    if name in DTYPES:
        return int(number.to(DTYPES[name]).view(torch.uint8))
    if name == "INT8":
        return int(number) & 0xFF
    return FP4.index(abs(float(number))) + (8 if bool(number.signbit()) else 0)


def fields(x: float, factor: float) -> Table:
    """The number times the factor in every format, what it says when read back, and how far each reaches."""
    rows: list[tuple[Scalar, ...]] = []
    for name in WIDTHS:
        found = held(x * factor, name)
        smallest, largest = reach(name)
        says = exact(found.value / factor)
        ends = "tiny" if smallest < SMALLEST else figure(smallest), "huge" if largest > LARGEST else figure(largest)
        rows.append((name.removeprefix("FP8 "), found.sign, found.exponent, found.digits, says, *ends))
    times = "" if factor == 1 else f" times {exact(factor)}"
    columns = ("", "±", "exponent", "digits", "it says", "smallest", "largest")
    return Table(f"{exact(x)}{times} in bits{', read back' if times else ''}", columns, tuple(rows))


def reach(name: str) -> tuple[float, float]:
    """The smallest number above 0 that the format has, and its largest."""
    if name in ("FP32", "BF16"):
        info = torch.finfo(torch.float32 if name == "FP32" else torch.bfloat16)
        return info.smallest_normal, info.max
    known = torch.arange(128.0) if name == "INT8" else levels(name)  # type: ignore[arg-type]  # the other formats
    above = known[known > 0]
    return float(above.min()), float(above.max())
