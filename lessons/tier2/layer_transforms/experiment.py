"""What a layer is made of: a matrix and a bend on squared paper, three numbers by hand, then the layers of the model,
one part of them exchanged or taken away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log
from typing import Any

import torch

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Cost, Diff, Frame
from llm_holes.engine.interpret.layer_by_hand import Part, layer_by_hand
from llm_holes.engine.measure import loss_nats, timed
from llm_holes.engine.numbers import figure, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier2.layer_transforms.anatomy_views import sizes, table
from llm_holes.lessons.tier2.layer_transforms.straight import bends, straightness
from llm_holes.lessons.tier2.layer_transforms.toy import OneMatrix, best_matrix, stages, toy
from llm_holes.lessons.tier2.layer_transforms.toy_views import beside_one_matrix, by_hand, folded, moved
from llm_holes.lessons.tier2.layer_transforms.typed import numbers
from llm_holes.lessons.tier2.layer_transforms.variants import (
    CHANGES,
    PUBLISHED,
    Left,
    left,
    losses,
    operations,
    outcome,
)

INPUT, HIDDEN = 3, 4
EXACT = 1e-3
"""A matrix that misses less than this share does the same but for rounding."""
LEAST = 1e-3
"""What a model knows at least, in nats, so that there is a share of it."""
TIMES = 5


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    report = Report()
    _by_hand(engine, p, report)
    yield report.frame(0.1)

    ids = engine.encode(p["text"], p["max_new_tokens"])
    place, layer = min(p["position"], len(ids) - 1), p["layer"]
    untouched = Untouched.of(engine, ids)
    parts = layer_by_hand(engine.model, ids, layer, place)
    token = engine.token_text(ids[place])
    measured, lengths = sizes(token, layer, parts)
    x = next(part.result for part in parts if part.point == "ln2.hook_normalized")
    report.measure(measured, token=token, **straightness(engine, layer, x))
    report.show_also(what_each_part_adds=lengths)
    report.cost = _cost(engine, ids[place], parts)
    still, proof = report.views, table(token, layer, parts)
    report.say(
        f"{spelt(token)} in layer {layer}: {figure(measured['stream_norm'])} long, attention adds "
        f"{figure(measured['update_norm_attention'])}, the FFN {figure(measured['update_norm_ffn'])}."
    )
    yield report.frame(0.3)

    fixed = passage_ids(engine, p["kl_tokens"])
    intact, where = engine.logits(fixed), chosen(p["layers"], layer, engine.model.config.n_layers)
    as_it_is, nothing = loss_nats(intact, torch.tensor(fixed)), log(engine.model.config.d_vocab)
    report.measure(
        passage_tokens=len(fixed), layers_changed=len(where), loss_intact=as_it_is, loss_knowing_nothing=nothing
    )
    found: dict[str, Left] = {}
    for change in CHANGES:
        found[change] = left(engine, change, where, fixed, intact)
        report.measure({PUBLISHED[change]: found[change].kl})
        costs = losses(found, as_it_is, nothing, p["change"], len(where))
        report.show(*still, what_it_costs=costs)
        yield report.frame(0.3 + 0.5 * len(found) / len(CHANGES))

    changed = engine.operated(operations(p["change"], where))
    result = found[p["change"]]
    text, other = (e.write(ids, p["max_new_tokens"]) for e in (engine, changed))
    report.measure(
        kl_nats=result.kl,
        loss_changed=result.loss,
        changed_words_share=result.changed,
        knowledge_lost_share=(result.loss - as_it_is) / max(nothing - as_it_is, LEAST),
        outcome=outcome(result, nothing),
        undo_bit_identical=untouched.holds(),
    )
    report.say(f"By hand with the bend {p['bend']}; in the model {p['change']}, in {plural(len(where), 'layer')}.")
    diff = Diff("what follows the text", text, other, "as it is", p["change"])
    report.show_also(what_follows=diff, three_bends=bends(), step_by_step=proof)
    yield report.frame()


def _by_hand(engine: Engine, p: Mapping[str, Any], report: Report) -> None:
    """The typed matrices: squared paper, every product of three numbers, and the single matrix instead of two."""
    matrix = numbers(p["matrix"], "matrix", 2, 2)
    x = numbers(p["numbers"], "numbers", 1, INPUT)[0]
    wide, narrow = numbers(p["wide"], "wide", HIDDEN, INPUT), numbers(p["narrow"], "narrow", INPUT, HIDDEN)
    small = toy(engine.model, wide, narrow, p["bend"])
    made, one = stages(small, x), best_matrix(small, INPUT)
    report.measure(
        matrix_is_flat=int(torch.linalg.matrix_rank(matrix)) < len(matrix),
        by_hand_out=(x + made.added).tolist(),
        bent_numbers=int((made.before_bend != made.after_bend).sum()),
        one_matrix=_compared(one, p["bend"]),
        one_matrix_misses_share=one.missed,
        one_matrix_max_abs_diff=one.largest,
    )
    report.show(
        a_matrix=moved(engine.model, matrix),
        a_bend=folded(engine.model, matrix, p["bend"]),
        by_hand=by_hand(small, x, wide, narrow),
        one_matrix_instead=beside_one_matrix(small, x, one),
    )
    report.say(f"On paper and by hand, bend: {p['bend']}.")


def _compared(one: OneMatrix, bend: str) -> str:
    if one.missed >= EXACT:
        return "misses"
    return "exact" if bend == "none" else "exact in spite of the bend"


def _cost(engine: Engine, token: int, parts: Sequence[Part]) -> Cost:
    """One token through one layer: the fastest pass through all layers, shared among them, so that no layer's weights
    are still in the processor from the time before."""
    x = engine.model.embed(torch.tensor([[token]]))
    fastest = min(timed(engine.model.run_layers, x)[1] for _ in range(TIMES))
    ms = fastest / engine.model.config.n_layers
    nbytes, flops = (sum(getattr(part, name) for part in parts) for name in ("bytes", "flops"))
    return cost(engine, "one token, one layer", ms, nbytes, flops, view="what each part adds")
