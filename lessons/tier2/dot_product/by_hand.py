"""Two lists typed by the learner: the sum by hand, the arrows they are, and the sum while one of them turns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.frames import Arrow, Bars, Curve, Plane, Series, Table
from llm_holes.engine.numbers import count, exact, figure
from llm_holes.lessons.shared.typed import listed
from llm_holes.lessons.shared.words import cosine

SPELT_OUT = 3
"""Up to so many products are written out in a title."""
STEP = 5
"""Degrees between two points of the curve."""
ROUNDING = 1e-12


def dot(a: Tensor, b: Tensor) -> float:
    """Number by number the product, and all added up; what is only rounding is 0."""
    total = float((a * b).sum())
    return 0.0 if abs(total) < ROUNDING * float((a * b).abs().sum()) else total


@dataclass(frozen=True)
class Pair:
    """Two vectors [n] and a plane [2, n] that both lie in: with two numbers the plane of the numbers themselves."""

    a: Tensor
    b: Tensor
    plane: Tensor

    @classmethod
    def of(cls, a: Tensor, b: Tensor) -> Pair:
        """A list of one number is an arrow along a line, drawn on a plane."""
        if len(a) == 1:
            a, b = (torch.cat((v, v.new_zeros(1))) for v in (a, b))
        return cls(a, b, _plane_of(a, b))

    def turned(self, degrees: float) -> Pair:
        """The same with the second vector turned to the left in the plane, as long as it was."""
        if degrees == 0:
            return self
        way = math.radians(degrees)
        turn = torch.tensor(((math.cos(way), -math.sin(way)), (math.sin(way), math.cos(way))), dtype=self.b.dtype)
        return Pair(self.a, self.plane.T @ (turn @ (self.plane @ self.b)), self.plane)

    @property
    def angle(self) -> float:
        """Between the two, in degrees."""
        return math.degrees(math.acos(min(max(cosine(self.a, self.b), -1.0), 1.0)))

    @property
    def lengths(self) -> tuple[float, float]:
        return float(self.a.norm()), float(self.b.norm())


def _plane_of(a: Tensor, b: Tensor) -> Tensor:
    """Two directions [2, n] at right angles: along the first vector, and from there towards the second."""
    axes = torch.eye(len(a), dtype=a.dtype)
    if len(a) == 2:
        return axes
    first = _direction(a) if a.any() else _direction(b) if b.any() else axes[0]
    candidates = (b, *axes)
    rest = (v - (v @ first) * first for v in candidates)
    second = next(r for r, v in zip(rest, candidates, strict=True) if r.norm() > 1e-9 * v.norm())
    return torch.stack((first, _direction(second)))


def _direction(v: Tensor) -> Tensor:
    return v / float(v.norm())


def measured_by_hand(pair: Pair) -> dict[str, Any]:
    length_a, length_b = pair.lengths
    total = dot(pair.a, pair.b)
    return {
        "dot": total,
        "cosine": cosine(pair.a, pair.b),
        "toy_angle": pair.angle,
        "toy_has_angle": bool(length_a and length_b),
        "a_length": length_a,
        "b_length": length_b,
        "shadow_length": total / length_b if length_b else 0.0,
    }


def sum_as_text(a: Tensor, b: Tensor) -> str:
    """The sum as one would write it: 3 × 4 + 2 × 1 = 14."""
    total = figure(dot(a, b))
    if len(a) > SPELT_OUT:
        return f"the sum of {count(len(a))} products = {total}"
    factors = zip(a.tolist(), b.tolist(), strict=True)
    return f"{' + '.join(f'{_number(x)} × {_number(y)}' for x, y in factors)} = {total}"


def _number(value: float) -> str:
    text = exact(round(value, 3))
    return f"({text})" if value < 0 else text


def shadow(pair: Pair) -> Plane:
    """Both arrows and the shadow of the first on the line of the second."""
    arrows = tuple(
        Arrow(listed(v) if len(v) <= SPELT_OUT else name, *(pair.plane @ v).tolist())
        for name, v in (("the first", pair.a), ("the second", pair.b))
    )
    return Plane(sum_as_text(pair.a, pair.b), arrows, angle=(0, 1), projection=(0, 1))


def turning(pair: Pair) -> Curve:
    """The sum for every angle the second vector can have with the first, each made number by number; an upright line
    stands at the present one."""
    sums = [dot(pair.a, pair.turned(degrees - _signed(pair)).b) for degrees in range(0, 181, STEP)]
    most = math.prod(pair.lengths) or 1.0
    series = (
        Series("the sum", tuple(float(n) for n in range(0, 181, STEP)), tuple(sums)),
        Series(f"here: {count(pair.angle)}°", (pair.angle, pair.angle), (-most, most)),
        Series("zero", (0.0, 180.0), (0.0, 0.0)),
    )
    title = "the second turns away from the first, both as long as they are"
    return Curve(title, series, "angle in degrees", "dot product")


def _signed(pair: Pair) -> float:
    """How far the second is turned from the first, to the left in the plane."""
    (ax, ay), (bx, by) = (pair.plane @ pair.a).tolist(), (pair.plane @ pair.b).tolist()
    return math.degrees(math.atan2(by, bx) - math.atan2(ay, ax))


def terms(a: Tensor, b: Tensor) -> tuple[Bars, Table]:
    """The products one by one: as bars, and with the sum so far."""
    products = a * b
    rows = zip(a.tolist(), b.tolist(), products.tolist(), products.cumsum(0).tolist(), strict=True)
    factors = tuple(f"{_number(x)} × {_number(y)}" for x, y in zip(a.tolist(), b.tolist(), strict=True))
    bars = Bars(f"the products, of which {figure(dot(a, b))} is the sum", factors, tuple(products.tolist()))
    return bars, Table("term by term", ("a", "b", "a × b", "sum so far"), tuple(rows))
