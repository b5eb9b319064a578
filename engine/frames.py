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


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What every view has: the `key` under which a lesson's steps find it, which is also the name on its tab."""

    key: str = ""


class Tokens(Shown, frozen=True, tag="tokens"):
    """A strip of tokens. `values` (0..1, one per token) shade them; `control` is the control that Enter sets to the
    cursor's position."""

    title: str
    tokens: tuple[Token, ...]
    values: tuple[float, ...] = ()
    value_label: str = ""
    control: str = ""


class Heatmap(Shown, frozen=True, tag="heatmap"):
    """A matrix [rows, columns]; NaN cells are blank. Enter on a cell sets `row_control` and `column_control`; the first
    row and the first column have the number `first`.

    Row by row, `texts` holds a word for each cell and `details` what to say about it at the cursor. `range` is what the
    shades span at least, as in `Bars`."""

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
    first: int = 0
    range: tuple[float, float] | None = None


class Gallery(Shown, frozen=True, tag="gallery"):
    """Many small matrices of one size, values [item, rows, columns] of 0 or more, on one scale. Each has a short
    label, what to say about it at the cursor, and the group it is in; items of a group follow each other. Enter
    sets `controls` to the item's `places`. `range` is what the shades span at least."""

    title: str
    values: Array
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    unit: str = ""
    controls: tuple[str, ...] = ()
    places: tuple[tuple[int, ...], ...] = ()
    cursor: int | None = None
    range: tuple[float, float] | None = None


class Bars(Shown, frozen=True, tag="bars"):
    """Ranked or ordered bars; negative values grow to the left. `marked` is the index to point at. `range` is what the
    axis spans at least, so that two runs can be compared by eye: (0, 1) for shares, (-1, 1) for cosines."""

    title: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    unit: str = ""
    marked: int | None = None
    range: tuple[float, float] | None = None


class Series(msgspec.Struct, frozen=True):
    """One line of a `Curve`; `low` and `high`, if given, bound it at each x (measured spread)."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


class Mark(msgspec.Struct, frozen=True):
    """A point of a `Curve` that has a name."""

    name: str
    x: float
    y: float


class Curve(Shown, frozen=True, tag="curve"):
    """Lines over one x axis, and points to point at. `x_range` and `y_range` are what the axes span at least, as in
    `Bars`."""

    title: str
    series: tuple[Series, ...]
    x_label: str = ""
    y_label: str = ""
    log_y: bool = False
    y_range: tuple[float, float] | None = None
    x_range: tuple[float, float] | None = None
    marks: tuple[Mark, ...] = ()


class Table(Shown, frozen=True, tag="table"):
    """Rows of cells; numbers are formatted and right-aligned by the front end. `marked` is the row to point at."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    marked: int | None = None


class Text(Shown, frozen=True, tag="text"):
    """Literal text, such as what the model wrote."""

    title: str
    text: str


class Diff(Shown, frozen=True, tag="diff"):
    """Two texts to compare word by word."""

    title: str
    before: str
    after: str
    before_label: str = "before"
    after_label: str = "after"


class Scatter(Shown, frozen=True, tag="scatter"):
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


class Stage(msgspec.Struct, frozen=True):
    """One part of a `Flow`: what it hands on, in one short line, how long it took, and the lesson Enter opens."""

    name: str
    state: StageState = "waiting"
    produced: str = ""
    ms: float | None = None
    hole: str = ""


class Flow(Shown, frozen=True, tag="flow"):
    """The parts a text passes through, in order, lit as they are reached. From the last stage of `loop` (first and last
    index) the way leads back to its first, `turns` times so far."""

    title: str
    stages: tuple[Stage, ...]
    loop: tuple[int, int] | None = None
    turns: int = 0


class Turn(msgspec.Struct, frozen=True):
    """One act: `who` did it, `what` says it in a few words. `tokens` are those it put into the model's context; an act
    that put none there may have a `text`. A `folded` act is shown by its head alone until the cursor goes into it."""

    who: Literal["model", "software"]
    what: str
    text: str = ""
    tokens: tuple[Token, ...] = ()
    folded: bool = False


class Transcript(Shown, frozen=True, tag="transcript"):
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


class Blocks(Shown, frozen=True, tag="blocks"):
    """A memory cut into blocks, in physical order, and the owners' tables. `legend` replaces the usual one."""

    title: str
    blocks: tuple[Block, ...]
    tables: tuple[BlockTable, ...] = ()
    legend: str = ""


class Arrow(msgspec.Struct, frozen=True):
    """An arrow from (`from_x`, `from_y`) to (`x`, `y`). If it has a `tail`, that is what stands at its start, and
    `name` is what stands at its tip: it leads from the one to the other."""

    name: str
    x: float
    y: float
    from_x: float = 0.0
    from_y: float = 0.0
    tail: str = ""


class Dots(msgspec.Struct, frozen=True):
    """Points at `x` and `y`; if they are `joined`, a line leads from each to the next."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    joined: bool = False


class Plane(Shown, frozen=True, tag="plane"):
    """Arrows and dots on a plane with both axes on one scale. `angle` names two arrows between which the angle is
    drawn, `projection` two of which the first is projected onto the second: their indices. Dots of one name look alike.
    """

    title: str
    arrows: tuple[Arrow, ...]
    angle: tuple[int, int] | None = None
    projection: tuple[int, int] | None = None
    dots: tuple[Dots, ...] = ()


class Stretch(msgspec.Struct, frozen=True):
    """A piece of a time line: what happened, for how many milliseconds, and to what kind of work it belongs."""

    name: str
    ms: float
    group: str = ""


class TimelineRow(msgspec.Struct, frozen=True):
    """What happened one after the other; `note` is said behind it."""

    name: str
    stretches: tuple[Stretch, ...]
    note: str = ""


class Timeline(Shown, frozen=True, tag="timeline"):
    """Rows of work drawn to one scale of time, from 0."""

    title: str
    rows: tuple[TimelineRow, ...]


CellState = Literal["empty", "kept", "read", "written", "recomputed", "changed"]


class CacheGrid(Shown, frozen=True, tag="cache_grid"):
    """A cache as layers (or steps) x tokens. `cells` [row, token] holds indices into `states`."""

    title: str
    tokens: tuple[str, ...]
    cells: Array
    states: tuple[CellState, ...]
    row_label: str = "layer"
    row_names: tuple[str, ...] = ()
    note: str = ""


class NumberLine(Shown, frozen=True, tag="number_line"):
    """A histogram of many numbers (`counts` between `edges`, one more edge than counts) over a number line with
    `rungs`, the values that exist after rounding; `marked` are named values to point at."""

    title: str
    edges: tuple[float, ...]
    counts: tuple[float, ...]
    rungs: tuple[float, ...] = ()
    marked: tuple[tuple[str, float], ...] = ()
    unit: str = ""


class Cut(msgspec.Struct, frozen=True):
    """A line across a ranked list: what `name` keeps are the first `kept` entries."""

    name: str
    kept: int


class RankedList(Shown, frozen=True, tag="ranked_list"):
    """Candidates from the likeliest on, with the lines at which filters cut. `values` are shares; `total` is how many
    candidates there are in all, `rest` the share of those not listed."""

    title: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    cuts: tuple[Cut, ...] = ()
    total: int = 0
    rest: float = 0.0
    marked: int | None = None


class Runner(msgspec.Struct, frozen=True):
    """A candidate's rank at each step, from 1."""

    name: str
    ranks: tuple[int, ...]


class RankRace(Shown, frozen=True, tag="rank_race"):
    """How candidates rise and fall over the steps, on a logarithmic axis of ranks with 1 on top. `stops` are the steps
    to mark, and `stop_label` says what they are, such as the end of a sentence."""

    title: str
    steps: tuple[str, ...]
    runners: tuple[Runner, ...]
    stops: tuple[int, ...] = ()
    stop_label: str = "a marked step"
    last: int = 0
    """The last rank there is."""


class Join(msgspec.Struct, frozen=True):
    """Two neighbours become one: nodes `left` and `right`, at place `rank` (from 1) in the list of merges."""

    left: int
    right: int
    rank: int


class MergeTree(Shown, frozen=True, tag="merge_tree"):
    """How pieces of a word are joined. Nodes are the `leaves` in order, then what each of `joins` made, in the order of
    the joins; so nodes without a parent are the tokens. Of the joins only the first `shown` are drawn, if given, at the
    places they have when all are."""

    title: str
    leaves: tuple[Token, ...]
    joins: tuple[Join, ...]
    shown: int | None = None


class Part(msgspec.Struct, frozen=True):
    """A piece of a context: what it is, how many tokens long, to what kind it belongs, and its exact text."""

    name: str
    tokens: int
    group: str = ""
    text: str = ""


class Context(msgspec.Struct, frozen=True):
    """What was sent at once, oldest part first."""

    name: str
    parts: tuple[Part, ...]


class Contexts(Shown, frozen=True, tag="contexts"):
    """Contexts drawn to one scale of tokens, with the edge of the `window` (in tokens; 0 draws none), which cuts off
    the oldest parts."""

    title: str
    contexts: tuple[Context, ...]
    window: int = 0


View = (
    Tokens | Heatmap | Bars | Curve | Table | Text | Diff | Flow | Scatter | Gallery | Transcript | Blocks
    | Plane | Timeline | CacheGrid | NumberLine | RankedList | RankRace | MergeTree | Contexts
)  # fmt: skip


Bound = Literal["reading", "arithmetic", "neither"]


class Cost(msgspec.Struct, frozen=True):
    """What one piece of work takes: milliseconds, bytes read, additions and multiplications, how many steps of one
    token would take as long, and what the machine waits for meanwhile. It is said beside the view with the key `view`,
    or beside all."""

    what: str
    ms: float
    nbytes: float
    flops: float
    steps: float
    bound_by: Bound
    view: str = ""


class Frame(msgspec.Struct, frozen=True):
    """One complete picture.

    Attributes:
        caption: what to look at, in one line, made from measured values.
        measured: named results; units are in the name (`_ms`, `_bytes`, `_nats`).
        progress: 0..1 while more frames follow, None when the experiment cannot tell or is done.
        cost: what the work that the picture shows takes on this machine, where that is worth knowing.
    """

    caption: str
    views: tuple[View, ...] = ()
    measured: dict[str, Value] = {}
    progress: float | None = None
    cost: Cost | None = None


def series(name: str, x: Sequence[float], y: Sequence[float]) -> Series:
    return Series(name, tuple(map(float, x)), tuple(map(float, y)))
