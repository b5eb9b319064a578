"""Teaches the real model one sentence by gradient descent on copies of its weights, and measures what else changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import exp, isfinite, log
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Frame, Table, View
from llm_holes.engine.interpret.gradients import (
    MAX_TOKENS,
    Gradients,
    finite_difference,
    norm,
    norm_by_layer,
    training,
)
from llm_holes.engine.interpret.weight_map import TABLE, full_name
from llm_holes.engine.measure import Timing, loss_nats
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report, keyed
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier2.gradients.training_log import Course

CHECKED = "mlp.down_proj"
CHANGE, NUDGES = 0.005, (0.003, 0.1)
"""A nudge should move the loss by this many nats: less drowns in fp32's rounding, more leaves the straight part."""
LARGEST_LOSS = 30.0
"""Beyond this, perplexity is a number nobody can read."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids, target = taught(engine, p["text"])
    probe, rate = engine.encode(p["text_b"]), float(p["learning_rate"])
    report, untouched = Report(), Untouched.of(engine, probe)
    end = "".join(map(engine.token_text, ids[-target:]))
    report.measure(target=end, taught_tokens=len(ids))
    course = Course()
    still: tuple[View, ...] = ()
    for step in training(engine.model, ids, rate, p["steps"]):
        course.note(step, target, rate)
        if step.found is not None and not still:
            checked, still = _gradient(engine, ids, step.found, p["layer"])
            report.measure(checked)
        done = len(course.losses) - 1
        loss, chance = course.curves(end)
        report.show(*still, the_loss=loss, the_taught_word=chance)
        report.say(
            f"After {done} of {plural(p['steps'], 'step')}: loss {figure(course.losses[-1])}, "
            f"P of the taught end {percent(course.p_target[-1])}."
        )
        yield report.frame(0.8 * done / p["steps"] + 0.1)

    trained = replace(engine, model=step.model)
    report.measure(course.learnt() | _elsewhere(engine, trained, probe, p["kl_tokens"]))
    report.measure(undo_bit_identical=untouched.holds())
    m = report.measured
    loss, chance = course.curves(end)
    outcome = _outcome(engine, m, course)
    report.show(*keyed({"the loss": loss, "the taught word": chance, "before and after": outcome}), *still)
    report.say(
        f"P of the taught end {percent(m['p_target_before'])} → {percent(m['p_target_after'])}; perplexity on the "
        f"passage {figure(m['perplexity_before'])} → {figure(m['perplexity_after'])}."
    )
    yield report.frame()


def taught(engine: Engine, text: str) -> tuple[list[int], int]:
    """The ids to learn, and how many of them at the end are the last word. A text of one token gets an end token
    before it, since the first token is predicted from nothing; of a very long one the end is taken."""
    ids = engine.encode(text)[-MAX_TOKENS:]
    if len(ids) == 1:
        ids = [min(engine.tokenizer.eos_ids, default=0), *ids]
    starts = [n for n in range(1, len(ids)) if engine.token_text(ids[n])[:1].isspace()]
    return ids, len(ids) - (starts[-1] if starts else len(ids) - 1)


def nudge(slope: float) -> float:
    """How far to move a weight whose loss has that slope."""
    smallest, largest = NUDGES
    return min(max(CHANGE / abs(slope), smallest), largest) if slope else largest


def _gradient(
    engine: Engine, ids: Sequence[int], found: Gradients, layer: int
) -> tuple[dict[str, Any], tuple[View, ...]]:
    """Checks the first gradient against nudges, and shows where it is long."""
    name = full_name(CHECKED, layer)
    g = found.by_name[name]
    length, largest = norm([g]), int(g.abs().argmax())
    one = torch.zeros_like(g)
    one.view(-1)[largest] = 1
    slopes = [
        (
            f"all of {CHECKED} of layer {layer}",
            length,
            finite_difference(engine.model, ids, name, g / (length or 1), nudge(length)),
        ),
        (
            "its one steepest weight",
            float(g.view(-1)[largest]),
            finite_difference(engine.model, ids, name, one, nudge(float(g.view(-1)[largest]))),
        ),
    ]
    norms = norm_by_layer(found.by_name, engine.model.config.n_layers)
    table = found.by_name[f"{TABLE}.weight"]
    measured = {
        "finite_difference_rel_error": abs(slopes[0][2] - length) / (length or 1),
        "one_weight_rel_error": abs(slopes[1][2] - slopes[1][1]) / (abs(slopes[1][1]) or 1),
        "grad_norm_per_layer": norms,
        "grad_norm_table": norm([table]),
        "table_rows_with_gradient": int(table.any(-1).sum()),
    }
    check = Table(
        "the gradient, checked by nudging", ("nats per unit", "backward pass", "two forward passes"), tuple(slopes)
    )
    labels = ("embedding table", *(f"layer {n}" for n in range(len(norms))))
    lengths = Bars("length of the gradient", labels, (norm([table]), *norms))
    return measured, keyed({"checked by nudging": check, "where it is long": lengths})


def _elsewhere(engine: Engine, trained: Engine, probe: Sequence[int], kl_tokens: int) -> dict[str, Any]:
    """What the training did to other texts: the passage, and the next token of a probe."""
    ids = passage_ids(engine, kl_tokens)
    perplexities = [_perplexity(loss_nats(e.logits(ids), torch.tensor(ids))) for e in (engine, trained)]
    p, after = (torch.nan_to_num(e.logits(probe, 1)[-1].softmax(-1)) for e in (engine, trained))
    old, new = int(p.argmax()), int(after.argmax())
    return {
        "passage_tokens": len(ids),
        "perplexity_before": perplexities[0],
        "perplexity_after": perplexities[1],
        "probe_next": engine.token_text(old),
        "p_probe_before": float(p[old]),
        "p_probe_after": float(after[old]),
        "probe_next_after": engine.token_text(new),
    }


def _perplexity(loss: float) -> float:
    return exp(min(loss, LARGEST_LOSS)) if isfinite(loss) else exp(LARGEST_LOSS)


def _outcome(engine: Engine, measured: Mapping[str, Any], course: Course) -> Table:
    target, probe_next = spelt(measured["target"]), spelt(measured["probe_next"])
    rows = (
        ("loss of the sentence, nats", measured["loss_before"], measured["loss_after"]),
        (f"P of {target} at its end", measured["p_target_before"], measured["p_target_after"]),
        ("loss after one step: promised, measured", measured["loss_promised_first_step"], measured["loss_first_step"]),
        (f"perplexity on {NAME}", measured["perplexity_before"], measured["perplexity_after"]),
        (f"P of {probe_next} after the probe", measured["p_probe_before"], measured["p_probe_after"]),
        ("likeliest after the probe", measured["probe_next"], measured["probe_next_after"]),
        ("knowing nothing: nats per token", log(engine.model.config.d_vocab), ""),
        ("time of a step", str(Timing.of(course.ms)) if course.ms else "", ""),
    )
    return Table("before and after", ("", "before", "after"), rows)
