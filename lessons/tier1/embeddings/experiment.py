"""Ids look up rows of a table: the lookup itself, who lives near a row, a map of words, and rows exchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Array, Bars, Curve, Frame, Heatmap, Scatter, Table, series
from llm_holes.engine.numbers import equality, figure, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.vectors import TABLE, RowMixed, RowsSwapped
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.words import Word, best, cosines, embedding_table, labels, word

ROWS_SHOWN = 24
NEIGHBOURS = 10
CANDIDATES = 6
MAX_WORDS = 200
WAY = (0.0, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0)
"""At which shares of the way from row to row the model is asked: most of them where it tips."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"])
    looked_up, other = word(engine, p["word"], "word"), word(engine, p["word_b"], "word_b")
    names = p["words"].replace(",", " ").split()
    if len(names) > MAX_WORDS:
        raise InputError(f"the map has {len(names)} words", f"Give at most {MAX_WORDS}.")
    report = Report()
    measured, rows = _lookup(engine, ids)
    report.measure(measured)
    report.show(rows_looked_up=rows)
    report.say(f"{plural(len(ids), 'id')} took {len(ids):,} of {measured['table_rows']:,} rows.")
    yield report.frame(0.2)

    table, token = embedding_table(engine), engine.token_text(looked_up.ids[0])
    found = cosines(table, table[looked_up.ids[0]])
    near = best(found, NEIGHBOURS, {looked_up.ids[0]})
    neighbours, nearest = labels(engine, near), float(found[near[0]])
    report.measure(token=token, pieces=len(looked_up.ids), neighbours=list(neighbours), nearest_cosine=nearest)
    title = f"nearest rows to {spelt(token)}, id {looked_up.ids[0]}, by cosine"
    share, view = _map(engine, names, looked_up)
    report.show_also(
        map_of_words=view, nearest_rows=Bars(title, neighbours, tuple(found[near].tolist()), range=(-1, 1))
    )
    report.measure(map_share_of_variance=share)
    report.say_also(f"Nearest to {spelt(token)}: {spelt(neighbours[0])} ({figure(nearest)}).")
    yield report.frame(0.5)

    changes, answers = _exchange(engine, ids, looked_up.ids[0], other.ids[0], None if p["swap"] else p["mix"])
    report.measure(changes)
    way = _way(engine, ids, looked_up.ids[0], other.ids[0])
    report.show_also(the_whole_way=way, next_token=answers, the_table=_shape(engine, measured))
    yield report.frame()


def one_hot_product(ids: Tensor, table: Tensor) -> Tensor:
    """The rows as a matrix product: a 1 in the place of each id, 0 everywhere else, times the table."""
    return torch.nn.functional.one_hot(ids, len(table)).float() @ table


def _lookup(engine: Engine, ids: Sequence[int]) -> tuple[dict[str, Any], Heatmap]:
    table, shown = engine.model.weights[TABLE], torch.tensor(list(ids[:ROWS_SHOWN]))
    rows = table[shown]
    entered = torch.from_numpy(
        engine.model.forward(shown[None], taps=["hook_embed"], logits_to_keep=1).acts["hook_embed"]
    )
    names = labels(engine, ids[:ROWS_SHOWN])
    measured = {
        "table_rows": table.shape[0],
        "table_columns": table.shape[1],
        "table_share_of_parameters": table.numel() / engine.info.parameters,
        "lookup_equals_onehot_max_abs_diff": float((one_hot_product(shown, table) - rows).abs().max()),
        "lookup_equals_model_max_abs_diff": float((entered[0] - rows).abs().max()),
    }
    more = f" (the first {ROWS_SHOWN})" if len(ids) > ROWS_SHOWN else ""
    heat = Heatmap(
        f"the rows your text looked up{more}",
        Array.of(rows.numpy()),
        row_label="token",
        column_label="dimension",
        row_names=tuple(f"{name} {i}" for name, i in zip(names, ids, strict=False)),
    )
    return measured, heat


def _shape(engine: Engine, measured: Mapping[str, Any]) -> Table:
    rows = (
        ("rows: tokens in the vocabulary", measured["table_rows"]),
        ("columns: numbers for each", measured["table_columns"]),
        ("numbers in the table", measured["table_rows"] * measured["table_columns"]),
        ("share of all the model's numbers", percent(measured["table_share_of_parameters"])),
        (
            "also used to read out the next token",
            "yes" if engine.model.config.tied_embeddings else "no, another is",
        ),
        ("checked: lookup and one-hot × table", equality(measured["lookup_equals_onehot_max_abs_diff"])),
    )
    return Table("the embedding table", ("", ""), rows)


def principal_plane(vectors: Tensor) -> tuple[Tensor, float]:
    """Coordinates [rows, 2] of vectors [rows, d_model] in their two widest directions, and the share of the variance
    these hold; signs are fixed so that the same words give the same map."""
    centred = vectors - vectors.mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    plane = torch.zeros(len(vectors), 2)
    count = min(2, len(s))
    plane[:, :count] = u[:, :count] * s[:count]
    plane *= plane.gather(0, plane.abs().argmax(0, keepdim=True)).sign()
    return plane, float((s[:2] ** 2).sum() / (s**2).sum().clamp_min(1e-12))


def _map(engine: Engine, names: Sequence[str], looked_up: Word) -> tuple[float, Scatter]:
    if not names:
        return 0.0, Scatter("no words on the map", (), (), ())
    words = [word(engine, name, "words") for name in names]
    plane, share = principal_plane(torch.stack([w.vector for w in words]))
    return share, Scatter(
        f"your words, in the two directions in which they differ most ({percent(share)} of the variance)",
        tuple(names),
        tuple(plane[:, 0].tolist()),
        tuple(plane[:, 1].tolist()),
        marked=names.index(looked_up.text) if looked_up.text in names else None,
        x_label="first direction",
        y_label="second",
        control="word",
    )


def _way(engine: Engine, ids: Sequence[int], a: int, b: int) -> Curve:
    """How likely the answers at both ends are while row `a` is moved to row `b`."""
    found = torch.stack(
        [engine.operated([RowMixed(a, b, share)]).logits(ids, 1)[-1].softmax(-1) for share in WAY]
    )  # [shares, d_vocab]
    ends = list(dict.fromkeys((int(found[0].argmax()), int(found[-1].argmax()))))
    names = labels(engine, (a, b, *ends))
    lines = tuple(
        series(name, [100 * share for share in WAY], found[:, end].tolist())
        for name, end in zip(names[2:], ends, strict=True)
    )
    title = f"the next token while the row of {spelt(names[0])} becomes that of {spelt(names[1])}"
    return Curve(title, lines, "% of the way", "probability", y_range=(0, 1))


def _exchange(engine: Engine, ids: Sequence[int], a: int, b: int, share: float | None) -> tuple[dict[str, Any], Table]:
    """What the model predicts with row `a` moved towards row `b`, or the two swapped (`share` None)."""
    operation = RowsSwapped(a, b) if share is None else RowMixed(a, b, share)
    before = engine.logits(ids, 1)[-1]
    after = engine.operated([operation]).logits(ids, 1)[-1].softmax(-1)
    undone = bool((engine.logits(ids, 1)[-1] == before).all())
    p = before.softmax(-1)
    shown = best(p, CANDIDATES)
    shown += [i for i in best(after, CANDIDATES) if i not in shown]
    first, second = int(p.argmax()), int(after.argmax())
    measured = {
        "next_token": engine.token_text(first),
        "p_next": float(p[first]),
        "next_token_changed": engine.token_text(second),
        "p_next_changed": float(after[second]),
        "p_next_after_change": float(after[first]),
        "undo_bit_identical": undone,
    }
    names = labels(engine, (a, b))
    how = (
        f"{spelt(names[0])} ⇄ {spelt(names[1])}"
        if share is None
        else f"{spelt(names[0])} moved {percent(share)} of the way to {spelt(names[1])}"
    )
    rows = tuple((engine.token_text(i), float(p[i]), float(after[i])) for i in shown)
    return measured, Table(
        f"the next token, with the row of {how}", ("token", "probability before", "probability after"), rows
    )
