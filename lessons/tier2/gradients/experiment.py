"""The loss along the gradient, a walk down it on copies of the weights, what else that changed, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import exp, isfinite
from typing import Any

import torch

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Frame
from llm_holes.engine.interpret.gradients import MAX_TOKENS, Gradients, loss, norm, norm_by_layer, training
from llm_holes.engine.interpret.weight_map import TABLE
from llm_holes.engine.measure import changed_share, loss_nats, timed
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier2.gradients import bill
from llm_holes.lessons.tier2.gradients.nudges import checked
from llm_holes.lessons.tier2.gradients.training_log import NO_NUMBER, Course
from llm_holes.lessons.tier2.gradients.valley import walked

LARGEST_LOSS = 30.0
"""Beyond this, perplexity is a number nobody can read."""
READ = 4
"""How often a step reads all weights: forward, backward, and, with as many gradients, for the update."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids, target = taught(engine, p["text"])
    probe, rate = engine.encode(p["text_b"])[-MAX_TOKENS:], float(p["learning_rate"])
    report, course = Report(), Course()
    end = engine.tokenizer.decode(ids[-target:])
    report.measure(target=end, taught_tokens=len(ids))
    untouched: Untouched | None = None
    for step in training(engine.model, ids, rate, p["steps"]):
        if step.found is not None:
            yield from _valley(engine, ids, step.found, spelt(end), report)
            untouched = Untouched.of(engine, probe)
            report.measure(_lengths(engine, step.found))
            found, slopes = checked(engine, ids, step.found, p["layer"])
            report.measure(found)
            report.show_also(checked_by_nudging=slopes)
            pictures = report.views
        course.note(step, target, rate)
        if step.gradient_ms and len(course.forward_ms) < bill.REPEATS:
            course.forward_ms.append(timed(loss, step.model, ids)[1])
            course.gradient_ms.append(step.gradient_ms)
        done = len(course.losses) - 1
        report.show(*pictures, the_walk=course.walk(end))
        report.say(
            f"After {done} of {plural(p['steps'], 'step')}: loss {figure(course.losses[-1])}, "
            f"P of the taught end {percent(course.p_target[-1])}."
        )
        yield report.frame(0.4 + 0.3 * done / p["steps"])

    trained = replace(engine, model=step.model)
    report.measure(course.learnt() | _elsewhere(engine, trained, probe, ids, target, p["kl_tokens"]))
    assert untouched is not None
    report.measure(undo_bit_identical=untouched.holds())
    del trained, step  # as large as the gradients that are to be timed
    report.show_also(what_else_changed=_changes(report.measured))
    yield report.frame(0.8)

    counted = bill.counted(engine, ids)
    report.measure(counted | bill.timings(engine, ids, course.forward_ms, course.gradient_ms))
    report.show_also(the_bill=bill.bars(counted), the_taught_word=course.chance(end))
    weights, ms = counted["weight_bytes"], report.measured["gradient_ms"]
    report.cost = cost(engine, "the gradients of one step", ms, READ * weights, 6 * weights / 4 * len(ids))
    m = report.measured
    report.say(
        f"P of the taught end {percent(m['p_target_before'])} → {percent(m['p_target_after'])} after "
        f"{plural(m['steps'], 'step')} of {p['learning_rate']}."
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


def _valley(engine: Engine, ids: Sequence[int], found: Gradients, end: str, report: Report) -> Iterator[Frame]:
    """The loss along the gradient, step size by step size."""
    for valley in walked(engine, ids, found, NO_NUMBER):
        report.show(the_valley=valley.curve(end))
        report.measure(valley.published())
        report.say(f"One step, of {plural(len(valley.losses) - 1, 'size')}: loss from {figure(valley.start)} on.")
        yield report.frame(0.03 * len(valley.losses))


def _lengths(engine: Engine, found: Gradients) -> dict[str, Any]:
    table = found.by_name[f"{TABLE}.weight"]
    return {
        "grad_norm_per_layer": norm_by_layer(found.by_name, engine.model.config.n_layers),
        "grad_norm_table": norm([table]),
        "table_rows_with_gradient": int(table.any(-1).sum()),
    }


def _elsewhere(
    engine: Engine, trained: Engine, probe: Sequence[int], ids: Sequence[int], target: int, kl_tokens: int
) -> dict[str, Any]:
    """What the training did to other texts: the passage, and the next token of a probe. `ids` ends with what was
    taught, in `target` tokens."""
    passage = passage_ids(engine, kl_tokens)
    logits = [torch.nan_to_num(e.logits(passage)) for e in (engine, trained)]
    perplexities = [_perplexity(loss_nats(of, torch.tensor(passage))) for of in logits]
    p, after = (torch.nan_to_num(e.logits(probe, 1)[-1].softmax(-1)) for e in (engine, trained))
    old, new, first = int(p.argmax()), int(after.argmax()), ids[-target]
    return {
        "passage_tokens": len(passage),
        "perplexity_before": perplexities[0],
        "perplexity_after": perplexities[1],
        "words_changed_share": changed_share(*logits),
        "words_changed_of_100": round(100 * changed_share(*logits)),
        "probe_next": engine.token_text(old),
        "p_probe_before": float(p[old]),
        "p_probe_after": float(after[old]),
        "probe_next_after": engine.token_text(new),
        "p_probe_next_after_before": float(p[new]),
        "p_probe_next_after": float(after[new]),
        "p_taught_elsewhere_before": float(p[first]),
        "p_taught_elsewhere": float(after[first]),
        "taught_begins": engine.token_text(first),
    }


def _perplexity(nats: float) -> float:
    return exp(min(nats, LARGEST_LOSS)) if isfinite(nats) else exp(LARGEST_LOSS)


def _changes(m: Mapping[str, Any]) -> Bars:
    """The taught word where it was taught and after the other text, and what was and is likeliest there."""
    chances = {
        f"taught {spelt(m['target'])}": (m["p_target_before"], m["p_target_after"]),
        f"other text {spelt(m['probe_next'])}": (m["p_probe_before"], m["p_probe_after"]),
        f"other text {spelt(m['taught_begins'])}": (m["p_taught_elsewhere_before"], m["p_taught_elsewhere"]),
        f"other text {spelt(m['probe_next_after'])}": (m["p_probe_next_after_before"], m["p_probe_next_after"]),
    }
    labels = [f"{name}, {when}" for name in chances for when in ("before", "after")]
    values = [p for pair in chances.values() for p in pair]
    return Bars("chance of a word, before the training and after it", tuple(labels), tuple(values), range=(0, 1))
