"""The lookup: which rows of the embedding table a text takes, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Cost, Scalar, Table
from llm_holes.engine.measure import repeated
from llm_holes.engine.numbers import index, plural
from llm_holes.engine.spelling import spaced
from llm_holes.engine.surgery.vectors import TABLE

ROWS_SHOWN = 24
NUMBERS_SHOWN = 4
TIMES = 5
FLOAT_BYTES = 4


def one_hot_product(ids: Tensor, table: Tensor) -> Tensor:
    """The rows as a matrix product: a 1 in the place of each id, 0 everywhere else, times the table."""
    return torch.nn.functional.one_hot(ids, len(table)).float() @ table


def lookup_differs(engine: Engine, ids: Sequence[int]) -> tuple[float, float]:
    """How far the first rows that were looked up are from the one-hot product, and from what the model begins with."""
    table, shown = engine.model.weights[TABLE], torch.tensor(list(ids[:ROWS_SHOWN]))
    entered = engine.model.forward(shown[None], taps=["hook_embed"], logits_to_keep=1).acts["hook_embed"]
    rows = table[shown]
    by_product = float((one_hot_product(shown, table) - rows).abs().max())
    return by_product, float((torch.as_tensor(entered[0]) - rows).abs().max())


def table_picture(engine: Engine, ids: Sequence[int]) -> Table:
    """The whole table from its first row to its last, drawn with the rows that the text takes, at their places."""
    table = engine.model.weights[TABLE]
    taken = sorted(set(ids))[:ROWS_SHOWN]
    rows: list[tuple[Scalar, ...]] = []
    at = 0
    for token in taken:
        rows += _skipped(token - at)
        numbers = [f"{value:.3f}" for value in table[token, :NUMBERS_SHOWN].tolist()]
        rows.append((index(token), *numbers, "…", f"→ {spaced(engine.token_text(token))}"))
        at = token + 1
    if len(taken) == len(set(ids)):
        rows += _skipped(len(table) - at)
    columns = ("row", *map(str, range(1, NUMBERS_SHOWN + 1)), f"… {table.shape[1]}", "copied for")
    return Table("the embedding table, and the rows your text takes", columns, tuple(rows))


def _skipped(rows: int) -> Iterator[tuple[Scalar, ...]]:
    if rows:
        yield ("⋮", *[""] * (NUMBERS_SHOWN + 1), f"nobody: {plural(rows, 'row')}")


def lookup_cost(engine: Engine, ids: Sequence[int]) -> Cost:
    """The rows of the text are copied; nothing is added or multiplied."""
    table, taken = engine.model.weights[TABLE], torch.tensor(list(ids))
    _, took = repeated(TIMES, table.index_select, 0, taken)
    nbytes = len(ids) * table.shape[1] * FLOAT_BYTES
    return cost(engine, "the lookup", ms=took.fastest, nbytes=nbytes, flops=0, view="the lookup")
