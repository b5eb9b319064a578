"""The last vector becomes a token: one sorted list, the filters as lines across it, and what they do to a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.engine.generation.sampling import stages
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.final_vector_to_token import pictures
from llm_holes.lessons.tier3.final_vector_to_token.by_hand import entropy, recomputed
from llm_holes.lessons.tier3.final_vector_to_token.draws import against_chance, drawn
from llm_holes.lessons.tier3.final_vector_to_token.filters import filters_first, kept_by_each, params_of
from llm_holes.lessons.tier3.final_vector_to_token.loop import chances
from llm_holes.lessons.tier3.final_vector_to_token.table_cost import table_cost
from llm_holes.lessons.tier3.final_vector_to_token.two_orders import WRITTEN, Written, continued, side_by_side


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    report, params = Report(), params_of(p)
    ids, other_ids = _prompt(engine, p, p["text"]), _prompt(engine, p, p["text_b"])
    logits, state = _final(engine, ids)
    found, first = stages(logits, params), int(logits.argmax())
    final = found[-1].probabilities
    top_share = float(final.max())
    report.measure(
        kept_by_each(logits, params),
        top_token=pictures.label(engine, first),
        p_top1=top_share,
        p_top1_unfiltered=float(logits.softmax(-1)[first]),
        entropy_nats=entropy(final),
        kept_tokens=found[-1].kept,
        kept_tokens_filters_first=int((filters_first(logits, params) > 0).sum()),
    )
    token = spelt(pictures.label(engine, first))
    report.say(
        f"{plural(found[-1].kept, 'token')} left to draw from; {token} has {percent(top_share)} of what is left."
    )
    report.show(the_sorted_list=pictures.sorted_list(engine, logits, params))
    yield report.frame(0.1)

    other, _ = _final(engine, other_ids)
    texts = {"first": logits, "second": other}
    report.measure({f"{name}_b": count for name, count in kept_by_each(other, params).items()})
    report.measure(p_top1_b=float(other.softmax(-1).max()), top_token_b=pictures.label(engine, int(other.argmax())))
    report.show_also(sure_and_open=pictures.sure_and_open(texts, params), with_heat=pictures.with_heat(texts, params))
    yield report.frame(0.3)

    written: dict[str, Written] = {}
    before = report.views
    for _ in continued(engine, ids, params, written):
        report.show(*before, two_orders=side_by_side(engine, written))
        yield report.frame(0.5)
    filtered, heated = (engine.tokenizer.decode(one.tokens) for one in written.values())
    report.measure(
        written_filters_first=filtered, written_heat_first=heated, same_text_in_both_orders=filtered == heated
    )

    measured, curve = chances(engine, p["loop"], p["repetition"], p["frequency"])
    report.measure(measured)
    report.show_also(the_loop=curve)
    yield report.frame(0.7)

    measured, bars, report.cost = table_cost(engine, state)
    report.measure(measured)
    report.show_also(what_it_costs=bars)
    by_hand = recomputed(engine.model, state)
    report.measure(logits_recomputed_max_abs_diff=float((by_hand - logits).abs().max()))
    tables = {"by_hand": pictures.by_hand_table(engine, by_hand, logits), "stages": pictures.stage_table(found, first)}
    before = report.views
    for counts in drawn(engine, final, p["draws"], p["seed"]):
        report.measure(against_chance(counts, final))
        report.show(*before, draws=pictures.draws_table(engine, logits, final, counts), **tables)
        yield report.frame(0.9)
    yield report.frame()


def _prompt(engine: Engine, p: Mapping[str, Any], text: str) -> list[int]:
    return engine.chat(text, WRITTEN) if p["chat_template"] else engine.encode(text, WRITTEN)


def _final(engine: Engine, ids: list[int]) -> tuple[Tensor, Tensor]:
    """The scores [vocabulary] of what may come next, and the vector [d_model] they are made from."""
    point = tap(engine.model.config.n_layers - 1, "hook_resid_post")
    out = engine.model.forward(torch.tensor([ids]), taps=[point], logits_to_keep=1)
    return out.logits[0, -1], torch.as_tensor(out.acts[point][0, -1])
