"""What an experiment shows: frozen, torch-free results that travel from the engine to any front end.

An experiment yields `Frame`s. A frame is a complete picture: one caption, some views, and the named measurements that
grade predictions and fill the lesson's text. Views say *what* to draw, never how.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

Scalar = bool | int | float | str
Value = Scalar | list[Scalar] | dict[str, Scalar]
"""A setting or a measurement: a scalar, a list of scalars, or a small named group."""

DType = Literal["f4", "f8", "i4", "i8", "u1"]
CODES: dict[DType, Literal["f", "d", "i", "q", "B"]] = {"f4": "f", "f8": "d", "i4": "i", "i8": "q", "u1": "B"}
MAX_DIMENSIONS = 4


class Array(msgspec.Struct, frozen=True):
    """A numpy array on the wire: dtype, shape and little-endian bytes, never pickled."""

    dtype: DType
    shape: Annotated[tuple[int, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
    data: bytes

    @classmethod
    def of(cls, values: npt.ArrayLike, dtype: DType = "f4") -> Array:
        import numpy as np

        array = np.ascontiguousarray(values, dtype=f"<{dtype}")
        return cls(dtype, array.shape, array.tobytes())

    def numpy(self) -> npt.NDArray[np.generic]:
        """The array, read-only. Raises ValueError if shape and bytes disagree."""
        import numpy as np

        return np.frombuffer(self.data, dtype=f"<{self.dtype}").reshape(self.shape)

    def tolist(self) -> Any:
        """The array as nested lists, for a front end that does not wait for numpy's import. Raises ValueError or
        TypeError if shape and bytes disagree."""
        if 0 in self.shape:
            nested: list[Any] = []
            for size in reversed(self.shape[: self.shape.index(0)]):
                nested = [nested] * size
            return nested
        return memoryview(self.data).cast("B").cast(CODES[self.dtype], self.shape).tolist()


class Token(msgspec.Struct, frozen=True):
    """One token: its id, the exact bytes it stands for, and what to say about it at the cursor."""

    id: int
    data: bytes
    note: str = ""


class Tokens(msgspec.Struct, frozen=True, tag="tokens"):
    """A strip of tokens. `values` (0..1, one per token) shade them; `control` is the control that Enter sets to the
    cursor's position."""

    title: str
    tokens: tuple[Token, ...]
    values: tuple[float, ...] = ()
    value_label: str = ""
    control: str = ""


class Heatmap(msgspec.Struct, frozen=True, tag="heatmap"):
    """A matrix [rows, columns]; NaN cells are blank. Enter on a cell sets `row_control` and `column_control`.

    Row by row, `texts` holds a word for each cell and `details` what to say about it at the cursor."""

    title: str
    values: Array
    row_label: str = "row"
    column_label: str = "column"
    row_names: tuple[str, ...] = ()
    column_names: tuple[str, ...] = ()
    unit: str = ""
    row_control: str = ""
    column_control: str = ""
    cursor: tuple[int, int] | None = None
    texts: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


class Gallery(msgspec.Struct, frozen=True, tag="gallery"):
    """Many small matrices of one size, values [item, rows, columns] of 0 or more, on one scale. Each has a short
    label, what to say about it at the cursor, and the group it is in; items of a group follow each other. Enter
    sets `controls` to the item's `places`."""

    title: str
    values: Array
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    unit: str = ""
    controls: tuple[str, ...] = ()
    places: tuple[tuple[int, ...], ...] = ()
    cursor: int | None = None


class Bars(msgspec.Struct, frozen=True, tag="bars"):
    """Ranked or ordered bars; negative values grow to the left. `marked` is the index to point at."""

    title: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    unit: str = ""
    marked: int | None = None


class Series(msgspec.Struct, frozen=True):
    """One line of a `Curve`; `low` and `high`, if given, bound it at each x (measured spread)."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Curve(msgspec.Struct, frozen=True, tag="curve"):
    title: str
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""
    log_y: bool = False


class Table(msgspec.Struct, frozen=True, tag="table"):
    """Rows of cells; numbers are formatted and right-aligned by the front end. `marked` is the row to point at."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    marked: int | None = None


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Literal text, such as what the model wrote."""

    title: str
    text: str


class Diff(msgspec.Struct, frozen=True, tag="diff"):
    """Two texts to compare word by word."""

    title: str
    before: str
    after: str
    before_label: str = "before"
    after_label: str = "after"


class Scatter(msgspec.Struct, frozen=True, tag="scatter"):
    """Named points on a plane. `groups`, if given, holds one name per point, to be told apart; `marked` is the index to
    point at; Enter sets `control` to the label of the point at the cursor."""

    title: str
    labels: tuple[str, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    groups: tuple[str, ...] = ()
    marked: int | None = None
    x_label: str = ""
    y_label: str = ""
    control: str = ""


StageState = Literal["waiting", "running", "done"]


class PipelineStage(msgspec.Struct, frozen=True):
    """One part of a `Pipeline`: what it made, in one short line, how long it took, and the lesson Enter opens."""

    name: str
    state: StageState = "waiting"
    produced: str = ""
    ms: float | None = None
    hole: str = ""


class Pipeline(msgspec.Struct, frozen=True, tag="pipeline"):
    """The parts a text passes through, in order, lit as they are reached."""

    title: str
    stages: tuple[PipelineStage, ...]


class Turn(msgspec.Struct, frozen=True):
    """One act: `who` did it, `what` says it in a few words. `tokens` are those it put into the model's context; an act
    that put none there may have a `text`."""

    who: Literal["model", "software"]
    what: str
    text: str = ""
    tokens: tuple[Token, ...] = ()


class Transcript(msgspec.Struct, frozen=True, tag="transcript"):
    """What a model wrote and what the software around it did, in order. All tokens together are the whole context."""

    title: str
    turns: tuple[Turn, ...]


class Block(msgspec.Struct, frozen=True):
    """One block of a memory: who holds it (nobody: it is free), how full it is (0..1), what to say at the cursor."""

    owners: tuple[str, ...] = ()
    filled: float = 0.0
    note: str = ""


class BlockTable(msgspec.Struct, frozen=True):
    """Where an owner finds its blocks: their physical numbers, in the order of its text."""

    name: str
    blocks: tuple[int, ...]
    note: str = ""


class Blocks(msgspec.Struct, frozen=True, tag="blocks"):
    """A memory cut into blocks, in physical order, and the owners' tables. `legend` replaces the usual one."""

    title: str
    blocks: tuple[Block, ...]
    tables: tuple[BlockTable, ...] = ()
    legend: str = ""


View = Tokens | Heatmap | Bars | Curve | Table | Text | Diff | Pipeline | Scatter | Gallery | Transcript | Blocks


class Frame(msgspec.Struct, frozen=True):
    """One complete picture.

    Attributes:
        caption: what to look at, in one line, made from measured values.
        measured: named results; units are in the name (`_ms`, `_bytes`, `_nats`).
        progress: 0..1 while more frames follow, None when the experiment cannot tell or is done.
    """

    caption: str
    views: tuple[View, ...] = ()
    measured: dict[str, Value] = {}
    progress: float | None = None


def series(name: str, x: Sequence[float], y: Sequence[float]) -> Series:
    return Series(name, tuple(map(float, x)), tuple(map(float, y)))
