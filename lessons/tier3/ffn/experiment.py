"""One token's FFN: which neurons fire, what they push towards, where else they fire, and the model without them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Curve, Frame, Table, Tokens, series
from llm_holes.engine.interpret.logit_lens import tapped
from llm_holes.engine.interpret.neurons import NeuronsOff, StrongestOnly, columns, isolation, pushes, strengths
from llm_holes.engine.measure import kl_nats
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import figure, percent
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.ablations import WeightZeroed
from llm_holes.engine.surgery.operations import Operation
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.position_choice import position_of, window_start
from llm_holes.lessons.shared.report import Report

POINTS = ("hook_resid_mid", "mlp.hook_pre", "mlp.hook_pre_linear", "mlp.hook_post", "hook_mlp_out")
WINDOW = 256
SHOWN, CONTEXTS, BEFORE = 10, 6, 7
PASSAGE, KL_TOKENS = 192, 48
SEED = 0


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids, layer = engine.encode(p["text"]), p["layer"]
    position = position_of(p["position"], len(ids))
    start = window_start(position, len(ids), WINDOW)
    acts = tapped(engine.model, ids[: start + WINDOW], [tap(layer, x) for x in POINTS], WINDOW)
    stream, gate, up, values, added = (torch.from_numpy(acts[tap(layer, x)][0]) for x in POINTS)
    here = position - (min(len(ids), start + WINDOW) - len(values))
    lengths = strengths(engine.model, layer, values[here])
    order = lengths.argsort(descending=True)
    neuron = _neuron(p["neuron"], order, engine.model.config.d_mlp)
    report, facts = Report(), _facts(engine, layer, gate[here], lengths, order, neuron)
    by_hand = engine.model.linear(torch.nn.functional.silu(gate) * up, f"model.layers.{layer}.mlp.down_proj")
    report.measure(
        facts,
        ffn_reproduced_relative_diff=float((by_hand - added).abs().max() / added.abs().max()),
        token_isolation_max_abs_diff=isolation(engine.model, layer, stream, here),
        neuron_value=float(values[here, neuron]),
    )
    shown = ids[position - here : position - here + len(values)]
    token = engine.token_text(ids[position])
    report.show(
        along_the_text=_strip(engine, shown, values[:, neuron], layer, neuron, same=len(shown) == len(ids)),
        neurons=_firing(engine, layer, values[here], lengths, order, token, neuron),
    )
    report.say(
        f"At {spelt(token)} {percent(facts['active_fraction'])} of the gates of layer {layer} are open; "
        f"{facts['neurons_for_half']:,} of {len(lengths):,} neurons make half of what it adds."
    )
    yield report.frame(0.3)

    fixed = passage_ids(engine, PASSAGE)
    report.show_also(
        what_excites_it=_contexts(engine, fixed, layer, neuron, values[here, neuron]),
        how_many_it_takes=_spread(lengths, order),
    )
    yield report.frame(0.6)

    changed = engine.operated([_operation(engine, p, order.tolist(), neuron)])
    ablated = _ablated(engine, changed, ids, fixed[:KL_TOKENS])
    report.measure(ablated)
    report.say(
        f"{_named(p, neuron)}: KL {figure(ablated['kl_ablated'])} nats, P({spelt(ablated['next_token'])}) "
        f"{percent(ablated['p_next'])} → {percent(ablated['p_next_ablated'])}."
    )
    yield report.frame()


def _neuron(asked: int, order: Tensor, count: int) -> int:
    if asked >= count:
        raise InputError(
            f"there is no neuron {asked}", f"Neurons of a layer are 0 to {count - 1}; -1 is the strongest."
        )
    return int(order[0]) if asked < 0 else asked


def _facts(engine: Engine, layer: int, gate: Tensor, lengths: Tensor, order: Tensor, neuron: int) -> dict[str, Any]:
    weights = engine.model.weights
    ffn = sum(w.numel() for name, w in weights.items() if ".mlp." in name)
    shares = lengths[order].cumsum(0) / lengths.sum().clamp_min(1e-12)
    return {
        "ffn_share_of_parameters": ffn / sum(w.numel() for w in weights.values()),
        "ffn_to_attention_ratio": ffn / sum(w.numel() for name, w in weights.items() if ".self_attn." in name),
        "expansion": engine.model.config.d_mlp / engine.model.config.d_model,
        "active_fraction": float((gate > 0).float().mean()),
        "neurons_for_half": int((shares < 0.5).sum()) + 1,
        "top_neurons": order[:SHOWN].tolist(),
        "neuron": neuron,
        "neuron_share_of_added": float(lengths[neuron] / lengths.sum().clamp_min(1e-12)),
    }


def _operation(engine: Engine, p: Mapping[str, Any], order: Sequence[int], neuron: int) -> Operation:
    layer, count = p["layer"], min(p["count"], len(order))
    if p["change"] == "keep the strongest only":
        return StrongestOnly(count)
    if p["change"] == "strongest off":
        return NeuronsOff(layer, tuple(order[:count]))
    if p["change"] == "its largest weight zeroed":
        return WeightZeroed(layer, "mlp.down_proj", int(columns(engine.model, layer)[:, neuron].abs().argmax()), neuron)
    if p["change"] == "random ones off":
        chosen = torch.randperm(len(order), generator=torch.Generator().manual_seed(SEED))[:count]
        return NeuronsOff(layer, tuple(chosen.tolist()))
    return NeuronsOff(layer, (neuron,))


def _named(p: Mapping[str, Any], neuron: int) -> str:
    return {
        "this neuron off": f"Neuron {neuron} off",
        "its largest weight zeroed": f"The largest weight of neuron {neuron} zeroed",
        "strongest off": f"The {p['count']} strongest off",
        "random ones off": f"{p['count']} random ones off",
        "keep the strongest only": f"Only the {p['count']} strongest of each token and layer kept",
    }[p["change"]]


def _ablated(engine: Engine, changed: Engine, ids: Sequence[int], fixed: Sequence[int]) -> dict[str, Any]:
    before, after = (e.logits(ids, 1)[0].softmax(-1) for e in (engine, changed))
    following = int(before.argmax())
    return {
        "kl_ablated": kl_nats(engine.logits(fixed), changed.logits(fixed)),
        "next_token": engine.token_text(following),
        "p_next": float(before[following]),
        "p_next_ablated": float(after[following]),
        "next_token_ablated": engine.token_text(int(after.argmax())),
    }


def _firing(
    engine: Engine, layer: int, values: Tensor, lengths: Tensor, order: Tensor, token: str, neuron: int
) -> Table:
    """The strongest neurons, and the chosen one, with what they push the next token towards as their value is."""
    listed = list(dict.fromkeys([*order[:SHOWN].tolist(), neuron]))
    logits = pushes(engine.model, layer, listed) * values[listed].sign()[:, None]
    logits = logits[:, : engine.tokenizer.vocabulary]
    towards, away = (found.topk(3).indices.tolist() for found in (logits, -logits))
    rows = tuple(
        (str(n), float(values[n]), float(lengths[n]), _list(engine, up), _list(engine, down))
        for n, up, down in zip(listed, towards, away, strict=True)
    )
    title = f"layer {layer} at {spelt(token)}: the neurons that add most"
    columns = ("neuron", "value", "adds", "pushes towards", "away from")
    return Table(title, columns, rows, listed.index(neuron))


def _list(engine: Engine, ids: Sequence[int]) -> str:
    """Tokens beside each other; the space that belongs to one is seen."""
    return "  ".join(engine.token_text(i).replace(" ", "·") for i in ids)


def _strip(engine: Engine, ids: Sequence[int], values: Tensor, layer: int, neuron: int, same: bool) -> Tokens:
    largest = values.abs().max().clamp_min(1e-12)
    notes = [f"value {figure(v)}" for v in values.tolist()]
    title = f"neuron {neuron} of layer {layer} along your text"
    share = tuple((values.abs() / largest).tolist())
    return Tokens(title, engine.tokens(ids, notes), share, "share of its largest", "position" if same else "")


def _contexts(engine: Engine, fixed: Sequence[int], layer: int, neuron: int, value: Tensor) -> Table:
    """Where the neuron is most excited, in the direction it is here; the layers above are not run."""
    name = tap(layer, "mlp.hook_post")
    found = (
        engine.model.up_to(layer)
        .forward(torch.tensor([list(fixed)]), taps=[name], logits_to_keep=1)
        .acts[name][0, :, neuron]
    )
    signed = torch.from_numpy(found) * (1.0 if value >= 0 else -1.0)
    rows = []
    for at in signed.topk(min(CONTEXTS, len(fixed))).indices.tolist():
        before = engine.tokenizer.decode(fixed[max(0, at - BEFORE) : at])
        rows.append((float(found[at]), f"…{before}", engine.token_text(fixed[at])))
    return Table(f"what excites neuron {neuron} in {NAME}", ("value", "after", "at"), tuple(rows))


def _spread(lengths: Tensor, order: Tensor) -> Curve:
    shares = (lengths[order].cumsum(0) / lengths.sum().clamp_min(1e-12)).tolist()
    xs = sorted({*range(0, len(shares), max(len(shares) // 60, 1)), len(shares) - 1})
    line = series("this token", [x + 1 for x in xs], [shares[x] for x in xs])
    title = "how much the strongest neurons add together"
    return Curve(title, (line,), "neurons, strongest first", "share", y_range=(0, 1))
