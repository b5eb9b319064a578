"""What would be said after each layer; the text with layers skipped or exchanged; what is lost without each one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Cost, Diff, Frame
from llm_holes.engine.interpret.ablation_sweep import Harm, neighbours_swapped, without_each_layer
from llm_holes.engine.interpret.logit_lens import Lens, first_top, lens, residual_stream, residual_updates, settled_at
from llm_holes.engine.measure import timed
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier2.model_layers import harm
from llm_holes.lessons.tier2.model_layers.chosen_layers import chosen, in_words
from llm_holes.lessons.tier2.model_layers.grid import climb, grid

WINDOW = 24
TOP = 4
REPEATS = 5
STRIP = 64
"""Tokens of the passage, at least, on which your change is measured; each layer in turn is dearer."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"], p["max_new_tokens"])
    surgery = chosen(p["skip"], p["swap"], engine.model.config.n_layers)
    report = Report()
    stream = residual_stream(engine.model, ids, WINDOW)
    seen = lens(engine.model, stream, TOP)
    report.measure(_answer(engine, seen))
    report.say(_caption(report.measured))
    report.show(after_each_layer=grid(engine, ids, seen))
    yield report.frame(0.1)

    untouched = Untouched.of(engine, ids)
    places, race = climb(engine, seen)
    report.measure(places, updates_sum_relative_diff=_sums(engine, ids, stream))
    report.show_also(the_climb=race)
    yield report.frame(0.2)

    changed, done = engine.operated(surgery), in_words(surgery)
    fixed = passage_ids(engine, p["kl_tokens"])
    moved, strip = harm.on_the_passage(engine, changed, passage_ids(engine, max(p["kl_tokens"], STRIP)), done)
    text, other = (e.write(ids, p["max_new_tokens"]) for e in (engine, changed))
    report.measure(moved | _own_text(changed, untouched.logits[0], ids), text_differs=text != other)
    report.show_also(where_it_changes=strip)
    yield report.frame(0.3)

    shown = report.views
    left_out: list[Harm] = []
    swapped: list[Harm] = []
    for sweep, found in ((without_each_layer, left_out), (neighbours_swapped, swapped)):
        for some in sweep(engine.model, fixed):
            found += some
            report.show(*shown, each_in_turn=harm.each_in_turn(left_out, swapped, len(fixed)))
            yield report.frame(0.3 + 0.32 * (len(left_out) + len(swapped)) / engine.model.config.n_layers)

    report.measure(harm.published(left_out, swapped), undo_bit_identical=untouched.holds())
    report.show_also(what_follows=Diff(f"what follows, with {done}", text, other, "all layers", "changed"))
    report.cost = _price(engine, stream[len(stream) // 2, -1:])
    yield report.frame()


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


def _sums(engine: Engine, ids: Sequence[int], stream: torch.Tensor) -> float:
    """The embedding and all updates, added up, against the final stream; relative to its largest number."""
    _, total = residual_updates(engine.model, ids, WINDOW)
    return float(((total - stream[-1]).abs().amax(-1) / stream.abs().amax((0, 2))).max())


def _own_text(changed: Engine, intact: torch.Tensor, ids: Sequence[int]) -> dict[str, Any]:
    after = changed.logits(ids, 1)[0].softmax(-1)
    return {"p_changed": float(after[intact.argmax()]), "answer_changed": changed.token_text(int(after.argmax()))}


@torch.no_grad()
def _price(engine: Engine, state: torch.Tensor) -> Cost:
    """What one layer in the middle takes for one token, given the state [1, d_model] it reads."""
    middle = engine.model.config.n_layers // 2
    ms = min(timed(engine.model.run_layers, state[None], middle, middle + 1)[1] for _ in range(REPEATS))
    own = f"model.layers.{middle}."
    weights = sum(w.numel() for name, w in engine.model.weights.items() if name.startswith(own))
    return cost(engine, "one layer, one token", ms, 4 * weights, 2 * weights)


def _caption(measured: Mapping[str, Any]) -> str:
    layer, answer = measured["answer_first_top1_layer"], measured["answer"]
    where = f"after layer {layer} of {measured['layers']}" if layer >= 0 else "in the embedding"
    return (
        f"It ends with {spelt(answer)} ({percent(measured['p_answer'])}), first the likeliest {where}; "
        f"half-way it has {percent(measured['p_answer_halfway'])}."
    )
