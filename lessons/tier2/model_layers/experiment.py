"""What would be said after each layer; what is lost without one; and the text with layers skipped or exchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Array, Bars, Diff, Frame, Heatmap
from llm_holes.engine.interpret.ablation_sweep import without_each_layer
from llm_holes.engine.interpret.logit_lens import Lens, first_top, lens, residual_stream, residual_updates, settled_at
from llm_holes.engine.measure import kl_nats
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.ablations import LayerSkipped, LayersSwapped
from llm_holes.engine.surgery.operations import Operation
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched

WINDOW = 24
TOP = 4
FAINT = 0.005
"""Probabilities below are not worth a shade."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"], p["max_new_tokens"])
    surgery = chosen(p["skip"], p["swap"], engine.model.config.n_layers)
    report, untouched = Report(), Untouched.of(engine, ids)
    stream = residual_stream(engine.model, ids, WINDOW)
    seen = lens(engine.model, stream, TOP)
    report.measure(_answer(engine, seen) | _sums(engine, ids, stream))
    report.say(_caption(report.measured))
    grid = _grid(engine, ids, seen)
    report.show(after_each_layer=grid)
    yield report.frame(0.2)

    fixed = passage_ids(engine, p["kl_tokens"])
    without: list[float] = []
    for some in without_each_layer(engine.model, fixed):
        without += some
        report.show(after_each_layer=grid, without_one_layer=_bars(without, len(fixed)))
        yield report.frame(0.2 + 0.5 * len(without) / engine.model.config.n_layers)

    changed, done = engine.operated(surgery), _done(surgery)
    moved = _surgery(engine, changed, untouched.logits[0], ids, fixed)
    text, other = (e.write(ids, p["max_new_tokens"]) for e in (engine, changed))
    report.measure(_each(without) | moved)
    report.measure(text_differs=text != other, undo_bit_identical=untouched.holds())
    probabilities = f"P {percent(report.measured['p_answer'])} → {percent(moved['p_changed'])}"
    report.say(f"With {done}: KL {figure(moved['kl_changed'])} nats, {probabilities}.")
    diff = Diff(f"what follows, with {done}", text, other, "all layers", "changed")
    report.show_also(what_follows=diff)
    yield report.frame()


def chosen(skip: str, swap: str, n_layers: int) -> list[Operation]:
    """The operations two settings ask for. Raises InputError for what is not a layer."""
    pair = listed(swap, n_layers)
    if len(pair) not in {0, 2}:
        raise InputError(f"layers to swap: {swap!r}", "Name two layers, such as 9 10, or none.")
    exchanged: list[Operation] = [LayersSwapped(*pair)] if pair else []
    return [*exchanged, *(LayerSkipped(layer) for layer in listed(skip, n_layers))]


def listed(text: str, n_layers: int) -> list[int]:
    """The layers in a text such as `3, 7-9, middle, last-1`, each once. Raises InputError."""
    found: dict[int, None] = {}
    for part in filter(None, re.split(r"[\s,;]+", text)):
        first, last = _range(part, n_layers)
        if not 0 <= first <= last < n_layers:
            hint = f"Layers are 0 to {n_layers - 1}. Write them as 3, 7-9, middle or last-1."
            raise InputError(f"{part!r} is not a layer", hint)
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def _range(part: str, n_layers: int) -> tuple[int, int]:
    if place := re.fullmatch(r"(first|middle|last)([+-][0-9]{1,3})?", part):
        layer = {"first": 0, "middle": n_layers // 2, "last": n_layers - 1}[place[1]] + int(place[2] or 0)
        inside = min(max(layer, 0), n_layers - 1)
        return inside, inside
    if numbers := re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part):
        return int(numbers[1]), int(numbers[2] or numbers[1])
    return -1, -1


def _done(surgery: Sequence[Operation]) -> str:
    """What was done, in words."""
    skipped = [str(o.layer) for o in surgery if isinstance(o, LayerSkipped)]
    parts = [f"{o.first} and {o.second} exchanged" for o in surgery if isinstance(o, LayersSwapped)]
    if skipped:
        parts.append(f"{', '.join(skipped)} skipped")
    if not parts:
        return "nothing changed"
    return ("layer " if len(surgery) == 1 and skipped else "layers ") + ", ".join(parts)


def _answer(engine: Engine, seen: Lens) -> dict[str, Any]:
    ranks, layers = seen.rank_final[:, -1], engine.model.config.n_layers
    first = first_top(ranks)
    return {
        "layers": layers,
        "answer": engine.token_text(int(seen.tokens[-1, -1, 0])),
        "p_answer": float(seen.p_final[-1, -1]),
        "answer_first_top1_layer": first - 1,
        "answer_stays_from_layer": settled_at(ranks) - 1,
        "answer_first_share": first / layers,
        "p_answer_halfway": float(seen.p_final[layers // 2, -1]),
    }


def _sums(engine: Engine, ids: Sequence[int], stream: torch.Tensor) -> dict[str, float]:
    """The embedding and all updates, added up, against the final stream; relative to its largest number."""
    _, total = residual_updates(engine.model, ids, WINDOW)
    difference = (total - stream[-1]).abs().amax(-1) / stream.abs().amax((0, 2))
    return {"updates_sum_relative_diff": float(difference.max())}


def _each(without: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(without)
    return {
        "kl_per_skipped_layer": list(without),
        "most_important_layer": without.index(ordered[-1]),
        "least_important_layer": without.index(ordered[0]),
        "kl_most_important": ordered[-1],
        "kl_median_layer": ordered[len(ordered) // 2],
    }


def _surgery(
    engine: Engine, changed: Engine, intact: torch.Tensor, ids: Sequence[int], fixed: Sequence[int]
) -> dict[str, Any]:
    after = changed.logits(ids, 1)[0].softmax(-1)
    return {
        "kl_changed": kl_nats(engine.logits(fixed), changed.logits(fixed)),
        "p_changed": float(after[intact.argmax()]),
        "answer_changed": engine.token_text(int(after.argmax())),
    }


def _grid(engine: Engine, ids: Sequence[int], seen: Lens) -> Heatmap:
    count, length = seen.p_final.shape
    texts, details = [], []
    for state in range(count):
        for position in range(length):
            tops = [engine.token_text(int(i)) for i in seen.tokens[state, position]]
            moved = zip(tops, seen.p[state, position].tolist(), seen.change[state, position].tolist(), strict=True)
            texts.append(tops[0])
            details.append(", ".join(f"{spelt(t)} {percent(p)} ({_gained(change)})" for t, p, change in moved))
    shown = tuple(engine.token_text(i) for i in ids[-length:])
    return Heatmap(
        "what would be said after each layer (the shade: probability of what is said in the end)",
        Array.of(seen.p_final.where(seen.p_final >= FAINT, 0).numpy()),
        row_label="after",
        column_label="token",
        row_names=("embedding", *(f"layer {n}" for n in range(count - 1))),
        column_names=shown,
        unit="probability",
        cursor=(count - 1, length - 1),
        texts=tuple(texts),
        details=tuple(details),
    )


def _gained(change: float) -> str:
    return f"{'+' * (change > 0)}{percent(change)}"


def _bars(without: Sequence[float], tokens: int) -> Bars:
    labels = tuple(f"layer {n}" for n in range(len(without)))
    title = f"without one layer: KL on the first {plural(tokens, 'token')} of {NAME}"
    return Bars(title, labels, tuple(without), "nats", max(range(len(without)), key=without.__getitem__))


def _caption(measured: Mapping[str, Any]) -> str:
    layer, answer = measured["answer_first_top1_layer"], measured["answer"]
    where = f"after layer {layer}" if layer >= 0 else "in the embedding"
    return (
        f"It ends with {spelt(answer)} ({percent(measured['p_answer'])}); that is first on top {where} of "
        f"{measured['layers']}, and has {percent(measured['p_answer_halfway'])} half-way."
    )
