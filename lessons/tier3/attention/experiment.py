"""One head in the open: scores, weights and what they carry; all heads by type; and the text without head or look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, Frame, View
from llm_holes.engine.interpret.head_types import HeadScores, head_scores
from llm_holes.engine.measure import kl_nats
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.edges import EdgesCut
from llm_holes.engine.surgery.operations import HeadOff, Operation
from llm_holes.lessons.shared.head_views import gallery_by_type, head_name, map_by_type, table_of_types
from llm_holes.lessons.shared.position_choice import position_of, window_start
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.attention import pictures, silent_parts
from llm_holes.lessons.tier3.attention.one_head import columns_zeroed, sent, tapped
from llm_holes.lessons.tier3.attention.softmax_by_hand import by_hand

WINDOW = 192
KL_POSITIONS = 512
LITTLE = 0.25
"""A value so much shorter than the others is a place to put weight."""
SAME = 1e-3
"""Attention computed anew may differ by this much from the model's before it is called another."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"], p["max_new_tokens"])
    place = layer, head = p["layer"], p["head"]
    position = position_of(p["position"], len(ids))
    start = window_start(position, len(ids), WINDOW)
    end, row = min(start + WINDOW, len(ids)), position - start
    found = tapped(engine, ids, place, start, end)
    weights, lengths = found.weights[row, : position + 1], sent(engine, place, found.values)
    names = [engine.token_text(i) for i in ids]
    look = _look(p["look_at"], weights)
    report = Report()
    report.measure(
        tokens=len(ids),
        token=names[position],
        looks_at=names[look],
        weight_on_look=float(weights[look]),
        attention_reproduced_max_abs_diff=found.apart,
        weight_on_first_token=float(weights[0]),
        columns_zeroed_max_abs_diff=columns_zeroed(engine, layer, head, found.z),
    )
    report.measure(_carried(weights, found.values))
    views: dict[str, View] = {
        "whom_it_looks_at": pictures.looks(found, names[start:end], len(ids), place, row),
        "what_it_takes": pictures.takes(found, lengths, names[start:end], len(ids), place, row),
        "one_token": pictures.reads(found, lengths, names, position),
    }
    report.show(**views)
    report.say(_caption(names, position, weights, found.apart))
    yield report.frame(0.3)

    kinds = head_scores(engine.model, ids)
    report.measure(_types(kinds, layer, head))
    gallery = gallery_by_type(kinds, kinds.text, place)
    report.show_also(all_heads=map_by_type(kinds, p["gallery"], place), every_head=gallery)
    report.show_also(heads_by_type=table_of_types(kinds))
    yield report.frame(0.6)

    cut = _cut(engine, kinds, p, position, look)
    without = engine.operated(cut)
    keep = min(len(ids), KL_POSITIONS)
    logits = engine.logits(ids, keep), without.logits(ids, keep)
    damage = _damage(engine, *logits)
    done = _said(p["cut"], cut, names, position, look)
    texts = _texts(engine, without, ids, p["max_new_tokens"], done)
    report.measure(damage, heads_off=_heads(engine, p["cut"], cut), text_differs=texts.before != texts.after)
    cut_look = p["cut"] != "this head"
    report.measure(look_cut=_look_cut(p["cut"], position, look), look_stays=cut_look and look == position)
    report.show_also(without_it=pictures.next_words(engine, logits[0][-1], logits[1][-1], done), what_is_written=texts)
    yield report.frame(0.7)

    where = layer if p["changed_in"] == "this layer" else None
    report.measure(silent_parts.without_each(engine, where))
    toy, shares = by_hand(engine, p["scores"])
    report.measure(shares)
    report.show_also(silent_parts=silent_parts.bars(report.measured, where), by_hand=toy)
    report.say_also(
        f"Cut: P({damage['next_spelt']}) {percent(damage['p_next'])} → {percent(damage['p_next_ablated'])}."
    )
    yield report.frame()


def _look(asked: int, weights: Tensor) -> int:
    """The token looked at that may be cut: the one asked for, or the one with the most weight."""
    return int(weights.argmax()) if asked < 0 else min(asked, len(weights) - 1)


def _cut(engine: Engine, kinds: HeadScores, p: Mapping[str, Any], position: int, look: int) -> list[Operation]:
    place = (p["layer"], p["head"])
    if p["cut"] == "this head":
        return [HeadOff(*place), *_strongest(kinds, p["gallery"], p["also_off"], place)]
    where = place if p["cut"] == "one look, here" else (None, None)
    return [EdgesCut((look,), position, position + 1, *where)]


def _said(kind: str, cut: Sequence[Operation], names: Sequence[str], position: int, look: int) -> str:
    """What was cut, in words."""
    if kind == "this head":
        heads = [head_name(off.layer, off.head) for off in cut if isinstance(off, HeadOff)]
        return f"without {', '.join(heads)}"
    if position == look:
        return "nothing cut: a token always sees itself"
    where = "in this head" if kind == "one look, here" else "in any head"
    return f"{spelt(names[position])} may not look at {spelt(names[look])} {where}"


def _look_cut(kind: str, position: int, look: int) -> str:
    """Where the look was cut: `everywhere`, `here`, or `nowhere`, since a token always sees itself."""
    if kind == "this head" or position == look:
        return "nowhere"
    return "here" if kind == "one look, here" else "everywhere"


def _heads(engine: Engine, kind: str, cut: Sequence[Operation]) -> int:
    """In how many heads something was cut."""
    config = engine.model.config
    return config.n_layers * config.n_heads if kind == "one look, everywhere" else len(cut)


def _texts(engine: Engine, without: Engine, ids: Sequence[int], new_tokens: int, cut: str) -> Diff:
    text, changed = (e.write(ids, new_tokens) for e in (engine, without))
    return Diff(f"what is written, and {cut}", text, changed, "all there", "cut")


def _strongest(kinds: HeadScores, kind: str, count: int, but: tuple[int, int]) -> list[HeadOff]:
    """The `count` heads with the highest score of this type, all but one."""
    scores = kinds.by_type[kind]
    places = [divmod(int(i), scores.shape[1]) for i in np.argsort(scores, axis=None)[::-1]]
    return [HeadOff(*place) for place in places if place != but][:count]


def _damage(engine: Engine, intact: Tensor, changed: Tensor) -> dict[str, Any]:
    following = int(intact[-1].argmax())
    return {
        "kl_ablated_head": kl_nats(intact, changed),
        "other_word_share": float((intact.argmax(-1) != changed.argmax(-1)).float().mean()),
        "next_token": engine.token_text(following),
        "next_spelt": spelt(engine.token_text(following)),
        "p_next": float(intact[-1].softmax(-1)[following]),
        "p_next_ablated": float(changed[-1].softmax(-1)[following]),
    }


def _carried(weights: Tensor, values: Tensor) -> dict[str, float | bool]:
    """How long the first token's value is, against the others a token sees, and what that token takes home."""
    norms = values[: len(weights)].norm(dim=-1)
    first, others = float(norms[0]), float(norms[1:].median()) if len(norms) > 1 else float(norms[0])
    return {
        "value_length_first": first,
        "value_length_others": others,
        "first_sends_little": first < LITTLE * others,
        "carried_length": float((weights @ values[: len(weights)]).norm()),
    }


def _types(kinds: HeadScores, layer: int, head: int) -> dict[str, Any]:
    best = np.unravel_index(kinds.by_type["induction"].argmax(), kinds.by_type["induction"].shape)
    own = [kind for kind, scores in kinds.by_type.items() if scores[layer, head] >= kinds.threshold]
    return {
        "head_types": {kind: int((scores >= kinds.threshold).sum()) for kind, scores in kinds.by_type.items()},
        "type_threshold": kinds.threshold,
        "this_head_is": ", ".join(own) or "none of these",
        "top_induction_head": head_name(int(best[0]), int(best[1])),
        "weight_on_first_in_all_heads": float(kinds.by_type["first token"].mean()),
        "rows_sum_to_one_max_abs_diff": kinds.row_sum_error,
        "causal_violation": kinds.future_weight,
    }


def _caption(names: Sequence[str], position: int, weights: Tensor, apart: float) -> str:
    best = int(weights.argmax())
    where = "itself" if best == position else f"{spelt(names[best])} at {best}"
    caption = f"Token {position}, {spelt(names[position])}, looks most at {where} ({percent(float(weights[best]))})."
    return caption if apart <= SAME else f"{caption} Not what its queries and keys say: something changes it."
