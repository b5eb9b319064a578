"""One token through one layer, every operation with its shape and cost; and the layer without nonlinearity or norm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite, log
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Diff, Frame, Table, series
from llm_holes.engine.interpret.layer_by_hand import layer_by_hand
from llm_holes.engine.measure import kl_nats, loss_nats
from llm_holes.engine.numbers import figure, plural
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.ablations import NormRemoved, weight_name
from llm_holes.engine.surgery.activations import ACTIVATIONS, ActivationReplaced
from llm_holes.engine.surgery.operations import Operation, weight
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier2.layer_transforms.anatomy_views import sizes, table

CHANGES = {
    "GELU for SiLU": "kl_gelu",
    "ReLU for SiLU": "kl_relu",
    "no nonlinearity": "kl_without_nonlinearity",
    "no gate": "kl_without_gate",
    "no norm": "kl_without_norm",
}
NONLINEARITIES = {"GELU for SiLU": "gelu", "ReLU for SiLU": "relu", "no nonlinearity": "identity", "no gate": "one"}
BEYOND = 1e6
"""Published for a result that is no number: something grew until it did not fit."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"], p["max_new_tokens"])
    place, layer = min(p["position"], len(ids) - 1), p["layer"]
    report, untouched = Report(), Untouched.of(engine, ids)
    parts = layer_by_hand(engine.model, ids, layer, place)
    token = engine.token_text(ids[place])
    norms, lengths = sizes(token, layer, parts)
    operations_of_layer = table(token, layer, parts)
    report.measure(norms)
    report.show(step_by_step=operations_of_layer, lengths=lengths)
    report.say(
        f"{spelt(token)} in layer {layer}: a stream of length {figure(norms['stream_norm'])}; attention adds "
        f"{figure(norms['update_norm_attention'])}, the FFN {figure(norms['update_norm_ffn'])}."
    )
    yield report.frame(0.2)

    x = next(part.result for part in parts if part.point == "ln2.hook_normalized")
    report.measure(folded(engine, layer, x))
    straightness = _straightness(report.measured)
    report.show_also(is_it_straight=straightness)
    still = report.views
    yield report.frame(0.3)

    fixed = passage_ids(engine, p["kl_tokens"])
    intact, where = engine.logits(fixed), chosen(p["layers"], layer, engine.model.config.n_layers)
    report.measure(
        passage_tokens=len(fixed),
        layers_changed=len(where),
        loss_intact=loss_nats(intact, torch.tensor(fixed)),
        loss_knowing_nothing=log(engine.model.config.d_vocab),
    )
    found: dict[str, tuple[float, float]] = {}
    for name, key in CHANGES.items():
        logits = engine.operated(operations(name, where)).logits(fixed)
        found[name] = finite(kl_nats(intact, logits)), finite(loss_nats(logits, torch.tensor(fixed)))
        report.measure({key: found[name][0]})
        changes = _changes(found, report.measured, p["change"])
        report.show(*still, what_it_costs=changes)
        yield report.frame(0.3 + 0.1 * len(found))

    changed = engine.operated(operations(p["change"], where))
    kl, loss = found[p["change"]]
    text, other = (e.write(ids, p["max_new_tokens"]) for e in (engine, changed))
    report.measure(kl_nats=kl, loss_changed=loss, undo_bit_identical=untouched.holds())
    of_all = f"{len(where)} of {plural(engine.model.config.n_layers, 'layer')}"
    report.say(f"With {p['change']} in {of_all}: KL {figure(kl)} nats.")
    diff = Diff("what follows the text", text, other, "intact", p["change"])
    report.show_also(what_follows=diff, the_curve=_curve(p["change"]))
    yield report.frame()


def operations(change: str, layers: Sequence[int]) -> list[Operation]:
    if change == "no norm":
        return [NormRemoved(layer) for layer in layers]
    return [ActivationReplaced(tuple(layers), NONLINEARITIES[change])]  # type: ignore[arg-type]


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
        ("SiLU(gate) · up", measured["doubled_silu"], measured["ffn_differs_from_one_matrix"]),
        ("no nonlinearity: gate · up", measured["doubled_without_nonlinearity"], ""),
        ("no gate: up, then down", measured["doubled_without_gate"], measured["two_matrices_one_relative_diff"]),
    )
    return Table("is the FFN straight?", ("", "input × 2: output ×", "differs from the one matrix W_down·W_up"), rows)


def _changes(found: Mapping[str, tuple[float, float]], measured: Mapping[str, Any], change: str) -> Table:
    rows: tuple[tuple[str, float | str, float], ...] = (
        ("intact", 0.0, measured["loss_intact"]),
        *((name, kl, loss) for name, (kl, loss) in found.items()),
        ("knowing nothing", "", measured["loss_knowing_nothing"]),
    )
    marked = next((n for n, row in enumerate(rows) if row[0] == change), None)
    title = f"changed in {plural(measured['layers_changed'], 'layer')}, on {NAME}"
    return Table(title, ("", "KL, nats", "loss, nats per token"), rows, marked=marked)


def _curve(change: str) -> Curve:
    x = torch.linspace(-4, 4, 65)
    names = {"SiLU": "silu", change: NONLINEARITIES.get(change, "silu")}
    lines = tuple(series(name, x.tolist(), ACTIVATIONS[act](x).tolist()) for name, act in names.items())  # type: ignore[index]
    return Curve("what the gate goes through", lines, x_label="gate", y_label="result")
