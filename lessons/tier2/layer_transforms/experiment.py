"""One token through one layer, every operation with shape, size and cost; and what is left without bend or norm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, log
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Diff, Frame, Table, View, series
from llm_holes.engine.interpret.layer_by_hand import layer_by_hand
from llm_holes.engine.measure import fingerprint, kl_nats, loss_nats
from llm_holes.engine.surgery.ablations import NormRemoved, weight_name
from llm_holes.engine.surgery.activations import ACTIVATIONS, ActivationReplaced
from llm_holes.engine.surgery.operations import Operation, weight
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import NAME, passage
from llm_holes.lessons.tier2.layer_transforms.anatomy_views import sizes, table

CHANGES = {
    "GELU for SiLU": "kl_gelu",
    "ReLU for SiLU": "kl_relu",
    "no nonlinearity": "kl_without_nonlinearity",
    "no gate": "kl_without_gate",
    "no norm": "kl_without_norm",
}
BENDS = {"GELU for SiLU": "gelu", "ReLU for SiLU": "relu", "no nonlinearity": "identity", "no gate": "one"}
BEYOND = 1e6
"""Stands for a result that is no number: something grew until it did not fit."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"], p["max_new_tokens"])
    place, layer = min(p["position"], len(ids) - 1), p["layer"]
    hashed, before = fingerprint(engine.model.weights), engine.logits(ids, 1)
    parts = layer_by_hand(engine.model, ids, layer, place)
    token = engine.token_text(ids[place])
    measured, lengths = sizes(token, layer, parts)
    caption = (
        f"{token!r} in layer {layer}: a stream of length {measured['stream_norm']:.0f}; attention adds "
        f"{measured['update_norm_attention']:.1f}, the FFN {measured['update_norm_ffn']:.1f}."
    )
    views: list[View] = [table(token, layer, parts), lengths]
    yield Frame(caption, tuple(views), dict(measured), 0.2)

    x = next(part.result for part in parts if part.point == "ln2.hook_normalized")
    measured |= folded(engine, layer, x)
    views.append(_straightness(measured))
    yield Frame(caption, tuple(views), dict(measured), 0.3)

    fixed = engine.tokenizer.encode(passage())[: min(p["kl_tokens"], engine.model.config.n_ctx)]
    intact, where = engine.logits(fixed), chosen(p["layers"], layer, engine.model.config.n_layers)
    measured |= {
        "passage_tokens": len(fixed),
        "layers_changed": len(where),
        "loss_intact": loss_nats(intact, torch.tensor(fixed)),
    }
    measured["loss_knowing_nothing"] = log(engine.model.config.d_vocab)
    found: list[tuple[str, float, float]] = []
    for name, key in CHANGES.items():
        logits = engine.operated(operations(name, where)).logits(fixed)
        measured[key] = finite(kl_nats(intact, logits))
        found.append((name, measured[key], finite(loss_nats(logits, torch.tensor(fixed)))))
        changes = _changes(found, measured, p["change"])
        yield Frame(caption, (*views[:1], changes, *views[1:]), dict(measured), 0.3 + 0.1 * len(found))

    changed = engine.operated(operations(p["change"], where))
    measured |= {
        "kl_nats": measured[CHANGES[p["change"]]],
        "loss_changed": next(loss for name, _, loss in found if name == p["change"]),
    }
    text, other = (e.write(ids, p["max_new_tokens"]) for e in (engine, changed))
    same = fingerprint(engine.model.weights) == hashed and torch.equal(engine.logits(ids, 1), before)
    measured["undo_bit_identical"] = same
    count = f"{len(where)} of {engine.model.config.n_layers} layers"
    caption += f" With {p['change']} in {count}: KL {measured['kl_nats']:.3g} nats."
    diff = Diff("what follows the text", text, other, "intact", p["change"])
    yield Frame(caption, (views[0], diff, changes, *views[1:], _curve(p["change"])), measured)


def operations(change: str, layers: Sequence[int]) -> list[Operation]:
    if change == "no norm":
        return [NormRemoved(layer) for layer in layers]
    return [ActivationReplaced(tuple(layers), BENDS[change])]  # type: ignore[arg-type]


def finite(value: float) -> float:
    return value if isfinite(value) else BEYOND


def folded(engine: Engine, layer: int, x: Tensor) -> dict[str, Any]:
    """Whether the FFN's two matrices are one, with the gate held open, and what doubling its input x [d_model] does."""
    up, down = (weight(engine.model, weight_name(layer, name)) for name in ("mlp.up_proj", "mlp.down_proj"))
    two, one = down @ (up @ x), (down @ up) @ x

    def doubled(activation: str) -> float:
        model = ActivationReplaced((layer,), activation).apply(engine.model)  # type: ignore[arg-type]
        once, twice = (model.ffn(layer, y, lambda name, value: value) for y in (x, 2 * x))
        return float(twice.norm() / once.norm())

    return {
        "two_matrices_one_relative_diff": float((two - one).norm() / two.norm()),
        "ffn_differs_from_one_matrix": float((engine.model.ffn(layer, x, lambda n, v: v) - one).norm() / one.norm()),
        "doubled_silu": doubled("silu"),
        "doubled_without_nonlinearity": doubled("identity"),
        "doubled_without_gate": doubled("one"),
    }


def _straightness(measured: Mapping[str, Any]) -> Table:
    rows: tuple[tuple[str, float, float | str], ...] = (
        ("gate · up bent by SiLU", measured["doubled_silu"], measured["ffn_differs_from_one_matrix"]),
        ("no nonlinearity: gate · up", measured["doubled_without_nonlinearity"], ""),
        ("no gate: up, then down", measured["doubled_without_gate"], measured["two_matrices_one_relative_diff"]),
    )
    return Table("is the FFN straight?", ("", "input × 2: output ×", "differs from the one matrix W_down·W_up"), rows)


def _changes(found: Sequence[tuple[str, float, float]], measured: Mapping[str, Any], change: str) -> Table:
    rows: tuple[tuple[str, float | str, float], ...] = (
        ("intact", 0.0, measured["loss_intact"]),
        *found,
        ("knowing nothing", "", measured["loss_knowing_nothing"]),
    )
    marked = next((n for n, row in enumerate(rows) if row[0] == change), None)
    title = f"changed in {measured['layers_changed']} layers, on {NAME}"
    return Table(title, ("", "KL, nats", "loss, nats per token"), rows, marked=marked)


def _curve(change: str) -> Curve:
    x = torch.linspace(-4, 4, 65)
    names = {"SiLU": "silu", change: BENDS.get(change, "silu")}
    lines = tuple(series(name, x.tolist(), ACTIVATIONS[bend](x).tolist()) for name, bend in names.items())  # type: ignore[index]
    return Curve("what the gate goes through", lines, x_label="gate", y_label="result")
