"""The toy layer as pictures: squared paper that it moves and folds, every product, and one matrix instead of two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llm_holes.engine.frames import Arrow, Curve, Dots, Plane, Table, series
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.numbers import figure
from llm_holes.lessons.tier2.layer_transforms.toy import OneMatrix, stages, toy

ACROSS, UP, PIECES = 3, 2, 24
"""The sheet reaches so far from the middle, with a line at each whole number; each is drawn in so many pieces."""
REACH = 4.0


def moved(model: Decoder, matrix: Tensor) -> Plane:
    """The sheet before and after a matrix [2, 2], and where one step right and one step up end."""
    arrows = (
        Arrow("right", *matrix[:, 0].tolist()),
        Arrow("up", *matrix[:, 1].tolist()),
    )
    flat = toy(model, matrix, torch.eye(2), "none")
    dots = (_dots("before", _outline(), joined=True), *_sheet(flat, "after"))
    return Plane("a sheet of squared paper, and where the matrix puts it", arrows, dots=dots)


def folded(model: Decoder, matrix: Tensor, bend: str) -> Plane:
    """The sheet after the matrix, and after the bend that follows."""
    whole = toy(model, matrix, torch.eye(2), bend)
    outline = _dots("after the matrix", stages(whole, _outline()).before_bend, joined=True)
    return Plane(f"the same sheet after the bend: {bend}", (), dots=(outline, *_sheet(whole, "after the bend")))


def _outline() -> Tensor:
    """Once around the sheet, [points, 2]."""
    return torch.tensor([(-1.0, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * torch.tensor((ACROSS, UP))


def _sheet(model: Decoder, name: str) -> Iterator[Dots]:
    """Each line of the sheet as the toy leaves it."""
    for reach, other, order in ((ACROSS, UP, (0, 1)), (UP, ACROSS, (1, 0))):
        along = torch.linspace(-other, other, PIECES + 1)
        for n in range(-reach, reach + 1):
            line = torch.stack((torch.full_like(along, float(n)), along), -1)[:, order]
            yield _dots(name, stages(model, line).added, joined=True)


def _dots(name: str, points: Tensor, joined: bool = False) -> Dots:
    return Dots(name, tuple(points[:, 0].tolist()), tuple(points[:, 1].tolist()), joined)


def by_hand(model: Decoder, x: Tensor, wide: Tensor, narrow: Tensor) -> Table:
    """Every product of the toy for one input x: first `wide` and the bend, then `narrow`, then the addition."""
    made = stages(model, x)
    hidden, added, out = made.after_bend.tolist(), made.added.tolist(), (x + made.added).tolist()
    rows: list[tuple[str, str, str, str]] = []
    for n, (row, total) in enumerate(zip(wide, made.before_bend.tolist(), strict=True)):
        rows.append((f"wide {n + 1}", _products(x, row), _short(total), f"bent: {_short(hidden[n])}"))
    for n, row in enumerate(narrow):
        then = f"{_short(float(x[n]))} {_plus(added[n])} = {_short(out[n])}"
        rows.append((f"narrow {n + 1}", _products(made.after_bend, row), _short(added[n]), then))
    title = f"in: {_listed(x.tolist())}   out: {_listed(out)}"
    return Table(title, ("", "number · weight, added up", "sum", "then"), tuple(rows))


def _products(x: Tensor, row: Tensor) -> str:
    terms = [
        f"{_plus(a) if n else _short(a)}·{f'({_short(b)})' if b < 0 else _short(b)}"
        for n, (a, b) in enumerate(zip(x.tolist(), row.tolist(), strict=True))
    ]
    return " ".join(terms)


def _plus(value: float) -> str:
    return f"{'-' if value < 0 else '+'} {_short(abs(value))}"


def _short(value: float) -> str:
    return figure(round(value, 2))


def _listed(values: Sequence[float]) -> str:
    return "  ".join(map(_short, values))


def beside_one_matrix(model: Decoder, x: Tensor, one: OneMatrix) -> Curve:
    """What the layer adds to one number as the first number of x goes up, beside the nearest single matrix: of the
    numbers the one where the two are farthest apart."""
    first = torch.linspace(-REACH, REACH, 81)
    inputs = x.repeat(len(first), 1)
    inputs[:, 0] = first
    layer, matrix = stages(model, inputs).added, inputs @ one.matrix.T
    place = int((layer - matrix).abs().amax(0).argmax())
    lines = (
        series("the layer", first.tolist(), layer[:, place].tolist()),
        series("the nearest 3 × 3 matrix", first.tolist(), matrix[:, place].tolist()),
    )
    return Curve(f"what is added to number {place + 1}", lines, "the first number that comes in", "added")
