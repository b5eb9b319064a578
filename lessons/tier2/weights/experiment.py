"""One weight at work, all of them on a line, damage to one or many, and the search for the one that matters most."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, Frame, Table
from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.engine.measure import changed_share, kl_nats, loss_nats
from llm_holes.engine.numbers import figure
from llm_holes.engine.surgery.ablations import super_weight, weight_name
from llm_holes.engine.surgery.weights import MatricesShuffled, WeightScaled
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier2.weights import published, weight_views
from llm_holes.lessons.tier2.weights.at_work import at_work
from llm_holes.lessons.tier2.weights.damage import chosen, damage, done, drawn, every_matrix, without
from llm_holes.lessons.tier2.weights.weight_views import DRAWN, FORMATS, short, value


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    prompt, bits = engine.encode(p["text"], p["max_new_tokens"]), FORMATS[p["bits"]]
    report, untouched = Report(), Untouched.of(engine, prompt)
    found = super_weight(engine.model, prompt)
    matters = WeightScaled(weight_name(found.layer, found.matrix), found.row, found.column, 0.0)
    place = chosen(engine, p, matters)
    work, vital = at_work(engine, prompt, place), at_work(engine, prompt, matters)
    peak = int(vital.fires.abs().argmax())
    position = peak if p["target"] == "the one found" else len(prompt) - 1
    token = engine.token_text(prompt[position])
    report.measure(published.counted(engine, bits) | published.at_its_place(engine, place, work, position))
    report.measure(published.of_the_found(engine, matters, vital, peak))
    report.measure(token=token, found_token=engine.token_text(prompt[peak]))
    report.show(
        a_weight_at_work=weight_views.products_added(work, position, token, place.name),
        token_by_token=weight_views.firing(engine, prompt, work, position),
    )
    own = value(engine, place)
    report.say(f"{engine.info.parameters:,} weights; you look at one, {figure(own)}.")
    yield report.frame(0.2)

    report.measure(rounded_value=weight_views.nearest(bits, own), values_left=2**bits - 1 if bits <= DRAWN else 0)
    line, scale = weight_views.all_weights(engine, own, bits), weight_views.to_scale(engine, bits)
    report.show_also(all_of_them=line, to_scale=scale)
    yield report.frame(0.3)

    ids = passage_ids(engine, p["kl_tokens"])
    intact, changed = engine.logits(ids), engine.operated(damage(engine, p, place))
    report.measure(published.moved(engine, ids, intact, changed.logits(ids)))
    report.measure(weight_value_changed=value(changed, place))
    report.say(f"{done(p, place)}.")
    yield report.frame(0.4)

    shuffled = engine.operated([MatricesShuffled(every_matrix(engine), p["seed"])]).logits(ids)
    report.measure(loss_shuffled=loss_nats(shuffled, torch.tensor(ids)))
    report.show_also(what_it_knows=weight_views.losses(report.measured))
    yield report.frame(0.6)

    before, after = (e.logits(prompt, 1)[0] for e in (engine, changed))
    answer, other = (e.write(prompt, p["max_new_tokens"]) for e in (engine, changed))
    report.measure(published.next_token(engine, before, after), answer=answer, answer_changed=other)
    report.show_also(
        the_next_token=weight_views.next_tokens(engine, before, after),
        what_both_write=Diff("what both write", answer, other, "before", "after"),
    )
    yield report.frame(0.7)

    yield from _one_at_a_time(engine, [matters, *drawn(engine, p["seed"], p["compare"])], ids, intact, report)
    report.show_also(
        inside_a_matrix=weight_views.window(engine, place),
        where_they_are=weight_views.parts(engine),
    )
    report.measure(undo_bit_identical=untouched.holds())
    yield report.frame()


def _one_at_a_time(
    engine: Engine, singles: Sequence[WeightScaled], ids: Sequence[int], intact: Tensor, report: Report
) -> Iterator[Frame]:
    """Zeroes each of these weights alone, the found one first."""
    still, stream = report.views, residual_stream(engine.model, ids)
    kls: list[float] = []
    shares: list[float] = []
    for single in singles:
        logits = without(engine, single, ids, stream)
        kls.append(kl_nats(intact, logits))
        shares.append(changed_share(intact, logits))
        report.show(*still, one_at_a_time=_compared(engine, singles, shares))
        yield report.frame(0.7 + 0.3 * len(kls) / (len(singles) + 1))
    report.measure(kl_found=kls[0], kl_random_median=statistics.median(kls[1:]), kl_random_max=max(kls[1:]))
    report.measure(changed_share_found=shares[0], changed_share_random_max=max(shares[1:]))


def _compared(engine: Engine, weights: Sequence[WeightScaled], shares: Sequence[float]) -> Table:
    rows = tuple(
        ("found" if n == 0 else "random", f"{short(w.name)}[{w.row}, {w.column}]", value(engine, w), share)
        for n, (w, share) in enumerate(zip(weights, shares, strict=False))
    )
    columns = ("", "weight", "value", "share of next words changed")
    return Table(f"one weight zeroed at a time, on {NAME}", columns, rows, marked=0)
