"""Which neuron writes the answer and what else it holds up; then one layer's neurons, and the model without some."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame
from llm_holes.engine.interpret.logit_lens import tapped
from llm_holes.engine.interpret.neurons import NeuronsOff, StrongestOnly, columns, isolation, strengths
from llm_holes.engine.measure import changed_share, kl_nats
from llm_holes.engine.model.decoder import ACT_FNS, Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import figure, percent
from llm_holes.engine.spelling import spaced, spelt
from llm_holes.engine.surgery.ablations import WeightZeroed
from llm_holes.engine.surgery.operations import Operation
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.position_choice import position_of, window_start
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.ffn.pictures import contexts, firing, spread, who_answers
from llm_holes.lessons.tier3.ffn.readable import readable_pushes
from llm_holes.lessons.tier3.ffn.writer import Held, Writers, held, split, who_writes_it, without_it, writers

POINTS = (
    "hook_resid_mid",
    "ln2.hook_normalized",
    "mlp.hook_pre",
    "mlp.hook_pre_linear",
    "mlp.hook_post",
    "hook_mlp_out",
)
WINDOW = 256
TOP = 10
PASSAGE, KL_TOKENS = 192, 128
SEED = 0


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids, layer = engine.encode(p["text"]), p["layer"]
    report, found = Report(), writers(engine, ids)
    at, writer, pushed = found.top[0]
    answer = engine.token_text(found.answer)
    report.show(who_writes_it=who_writes_it(answer, found))
    report.say(f"Neuron {writer} of layer {at} pushes {spelt(answer)} most: {figure(pushed)} added to its score.")
    yield report.frame(0.1)

    own, *others = held(engine, [p["text"], *split(p["others"], p["text"])], at, writer)
    report.measure(_of_the_writer(engine, found, own, others))
    report.show_also(without_it=without_it([own, *others], at, writer))
    yield report.frame(0.3)

    position = position_of(p["position"], len(ids))
    start = window_start(position, len(ids), WINDOW)
    acts = tapped(engine.model, ids[: start + WINDOW], [tap(layer, x) for x in POINTS], WINDOW)
    stream, normed, gate, up, values, added = (torch.as_tensor(acts[tap(layer, x)][0]) for x in POINTS)
    here = position - (min(len(ids), start + WINDOW) - len(values))
    lengths = strengths(engine.model, layer, values)
    order = lengths[here].argsort(descending=True)
    neuron = _neuron(p["neuron"], order, engine.model.config.d_mlp)
    by_hand = _by_hand(engine.model, layer, normed, gate, up)
    report.measure(
        _facts(engine, gate[here], lengths[here], order, neuron),
        ffn_reproduced_relative_diff=float((by_hand - added).abs().max() / added.abs().max()),
        token_isolation_max_abs_diff=isolation(engine.model, layer, stream, here),
        neuron_value=float(values[here, neuron]),
    )
    shown = ids[position - here : position - here + len(values)]
    token = engine.token_text(ids[position])
    report.show_also(
        neurons=firing(engine, layer, values[here], lengths[here], order, token, neuron),
        along_the_text=who_answers(engine, shown, position - here, values, lengths, here, layer, neuron),
    )
    yield report.frame(0.5)

    fixed = passage_ids(engine, PASSAGE)
    report.show_also(
        what_excites_it=contexts(engine, fixed, layer, neuron, values[here, neuron]),
        how_many_it_takes=spread(lengths[here], order),
    )
    yield report.frame(0.7)

    changed = engine.operated([_operation(engine, p, order.tolist(), neuron)])
    ablated = _ablated(engine, changed, ids, fixed[:KL_TOKENS])
    report.measure(ablated)
    report.say(f"{_named(p, neuron, len(order))}: {_what_changed(ablated)}.")
    yield report.frame()


def _by_hand(model: Decoder, layer: int, normed: Tensor, gate: Tensor, up: Tensor) -> Tensor:
    """What the FFN adds at each token, [pos, d_model], from what its two inner products are."""
    config, place = model.config, f"model.layers.{layer}."
    made = ACT_FNS[config.act](gate) * up
    if config.router:
        made = made * model.shares(normed, f"{place}mlp.router")
    return model.norm(model.linear(made, f"{place}mlp.down_proj"), f"{place}post_mlp_layernorm") * config.update_scale


def _of_the_writer(engine: Engine, found: Writers, own: Held, others: Sequence[Held]) -> dict[str, Any]:
    layer, neuron, pushed = found.top[0]
    ((up, _),) = readable_pushes(engine, layer, [neuron], found.values[layer, neuron][None])
    first = others[0] if others else own
    return {
        "top_writer_layer": layer,
        "top_writer_neuron": neuron,
        "top_writer_adds": pushed,
        "top_writer_pushes": ", ".join(spaced(text).strip("·") for text in up),
        "answer": own.answer,
        "p_answer": own.p,
        "p_answer_without_top_neuron": own.p_without,
        "p_others": {one.text: one.p for one in others},
        "p_others_without_top_neuron": {one.text: one.p_without for one in others},
        "others_read": len(others),
        "others_fallen": sum(one.fallen for one in others),
        "first_other_kept_share": first.p_without / first.p,
    }


def _neuron(asked: int, order: Tensor, count: int) -> int:
    if asked >= count:
        raise InputError(
            f"there is no neuron {asked}", f"Neurons of a layer are 0 to {count - 1}; -1 is the strongest."
        )
    return int(order[0]) if asked < 0 else asked


def _facts(engine: Engine, gate: Tensor, lengths: Tensor, order: Tensor, neuron: int) -> dict[str, Any]:
    weights = engine.model.weights
    ffn = sum(w.numel() for name, w in weights.items() if ".mlp." in name)
    shares = lengths[order].cumsum(0) / lengths.sum().clamp_min(1e-12)
    return {
        "ffn_share_of_parameters": ffn / sum(w.numel() for w in weights.values()),
        "ffn_to_attention_ratio": ffn / sum(w.numel() for name, w in weights.items() if ".self_attn." in name),
        "expansion": engine.model.config.d_mlp / engine.model.config.d_model,
        "active_fraction": float((gate > 0).float().mean()),
        "neurons_for_half": int((shares < 0.5).sum()) + 1,
        "top_neurons": order[:TOP].tolist(),
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


def _named(p: Mapping[str, Any], neuron: int, most: int) -> str:
    count = min(p["count"], most)
    return {
        "this neuron off": f"Neuron {neuron} off",
        "its largest weight zeroed": f"The largest weight of neuron {neuron} zeroed",
        "strongest off": f"The {count:,} strongest off",
        "random ones off": f"{count:,} random ones off",
        "keep the strongest only": f"Only the {count:,} strongest of each token",
    }[p["change"]]


def _what_changed(ablated: Mapping[str, Any]) -> str:
    before, after = percent(ablated["p_next"]), percent(ablated["p_next_ablated"])
    share = percent(ablated["words_changed_share"])
    return f"{share} of next tokens change, P({spelt(ablated['next_token'])}) {before} → {after}"


def _ablated(engine: Engine, changed: Engine, ids: Sequence[int], fixed: Sequence[int]) -> dict[str, Any]:
    before, after = (e.logits(ids, 1)[0].softmax(-1) for e in (engine, changed))
    following = int(before.argmax())
    intact, ablated = engine.logits(fixed), changed.logits(fixed)
    share = changed_share(intact, ablated)
    return {
        "kl_ablated": kl_nats(intact, ablated),
        "words_changed_share": share,
        "words_changed_of_100": round(100 * share),
        "next_token": engine.token_text(following),
        "p_next": float(before[following]),
        "p_next_ablated": float(after[following]),
        "next_token_ablated": engine.token_text(int(after.argmax())),
    }
