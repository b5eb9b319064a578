"""One word in two texts: which meaning pulls it where, layer by layer; then what a state holds, and how two compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier2.hidden_states.reader import ASKED, Readings, readings
from llm_holes.lessons.tier2.hidden_states.state_views import cosine_curve, norm_curve, reading_curve, tug_curve
from llm_holes.lessons.tier2.hidden_states.tug import NEITHER, Rope, apart_from, rope
from llm_holes.lessons.tier2.hidden_states.word_place import Place, place

ALIKE = 0.9
CLOSER = 0.01
"""By how much a layer must raise the cosine to count as one that brings the two closer: less is rounding."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    first = place(engine, p["text"], p["word"])
    second = place(engine, p["text_b"], p["word_b"] or p["word"])
    between = rope(engine, p["meaning_a"], p["meaning_b"])
    report = Report()
    leans = between.lean(first.own), between.lean(second.own)
    report.measure(_tug_facts(engine, first, second, between, leans))
    report.say(_caption(engine, first, second, between))
    report.show(tug_of_war=tug_curve(between, (first, second), leans))
    yield report.frame(0.2)
    kept = _smaller(first.own, second.own, p["channels_off"])
    raw, rest = (_cosines(a, b) for a, b in ((first.own, second.own), (first.own[:, kept], second.own[:, kept])))
    report.measure(_cosine_facts(raw, rest) | _norm_facts(first) | _decoded(engine, first.ids))
    report.show_also(
        how_alike=cosine_curve(raw, rest, p["channels_off"]), how_long=norm_curve(first, p["word"] or first.name)
    )
    yield report.frame(0.4)
    read = readings(engine, p["passage"])
    report.measure(_reading_facts(read))
    report.show_also(what_it_holds=reading_curve(read, p["passage"]))
    yield report.frame()


def _smaller(a: Tensor, b: Tensor, count: int) -> Tensor:
    """All channels but the `count` with the largest share of the squared length, on average over all states."""
    both = torch.stack((a, b)).square()
    share = (both / both.sum(-1, keepdim=True)).mean((0, 1))
    return share.argsort(descending=True)[count:].sort().values


def _cosines(a: Tensor, b: Tensor) -> list[float]:
    found: list[float] = torch.cosine_similarity(a, b, dim=-1, eps=1e-12).tolist()
    return found


def _tug_facts(
    engine: Engine, first: Place, second: Place, between: Rope, leans: tuple[Sequence[float], Sequence[float]]
) -> dict[str, Any]:
    layers = apart_from(*leans)
    same = first.ids[: first.position + 1] == second.ids[: second.position + 1]
    half = engine.model.config.n_layers // 2
    winners = [between.winner(lean) for lean in leans]
    return {
        "token_a": engine.token_text(first.ids[first.position]),
        "token_b": engine.token_text(second.ids[second.position]),
        "word_found_a": first.found,
        "word_found_b": second.found,
        "at_the_start": first.position == 0 or second.position == 0,
        "same_until_word": same,
        "meaning_a_per_layer": list(leans[0]),
        "meaning_b_per_layer": list(leans[1]),
        "layers_apart_from": layers,
        "they_part": "never" if layers < 0 else f"in the {'lower' if layers <= half else 'upper'} half",
        "words_before_pull": layers > 0 and first.position > 0 and second.position > 0,
        "apart": "never" if layers < 0 else f"after {plural(layers, 'layer')}" if layers else "from the start",
        "pulled_a": winners[0],
        "pulled_b": winners[1],
        "pulled_both": winners[0] if winners[0] == winners[1] != NEITHER else "",
        "nobody_wins": winners[0] == winners[1] == NEITHER,
        "winner_a": _winner(winners[0], "Neither side"),
        "winner_b": _winner(winners[1], "neither side"),
        "pulled_without_hint": winners[0] if same and winners[0] != NEITHER else "",
    }


def _winner(name: str, nobody: str) -> str:
    """Who wins, in a sentence; `nobody` if neither does."""
    return nobody if name == NEITHER else f"“{name}”"


def _cosine_facts(raw: Sequence[float], rest: Sequence[float]) -> dict[str, Any]:
    apart = next((state for state, value in enumerate(raw) if value < ALIKE), len(raw))
    middle = len(raw) // 2
    return {
        "cosine_per_layer": list(raw),
        "cosine_without_largest_per_layer": list(rest),
        "cosine_embedding": raw[0],
        "cosine_middle": raw[middle],
        "cosine_middle_without_largest": rest[middle],
        "cosine_drop": raw[middle] - rest[middle],
        "cosine_lowest": min(raw),
        "cosine_last": raw[-1],
        "divergence_layer": apart - 1,
        "divergence": f"after layer {apart - 1}"
        if 0 < apart < len(raw)
        else "nowhere"
        if apart
        else "in the embedding",
        "divergence_threshold": ALIKE,
        "layers_that_bring_closer": sum(after - before > CLOSER for before, after in pairwise(rest)),
    }


def _norm_facts(first: Place) -> dict[str, Any]:
    norms = first.stream.norm(dim=-1)
    state, position = divmod(int(norms.argmax()), norms.shape[1])
    vector = first.stream[state, position]
    return {
        "norm_first": float(first.own[0].norm()),
        "norm_last": float(first.own[-1].norm()),
        "norm_largest": float(norms.max()),
        "norm_largest_at_position": len(first.ids) - norms.shape[1] + position,
        "norm_largest_after_layer": state - 1,
        "largest_channel": int(vector.abs().argmax()),
        "largest_channel_share": float(vector.abs().max() ** 2 / vector.square().sum()),
    }


def _reading_facts(read: Readings) -> dict[str, Any]:
    own, left, following = (read.right[asked] for asked in ASKED)
    return {
        "own_accuracy_per_layer": own,
        "left_accuracy_per_layer": left,
        "next_accuracy_per_layer": following,
        "reader_accuracy_baseline": read.baseline,
        "reader_tests": read.tests,
        "own_accuracy_last": own[-1],
        "left_accuracy_first": left[0],
        "left_accuracy_best": max(left),
        "next_accuracy_first": following[0],
        "next_accuracy_best": max(following),
        "best_read_last": max(ASKED, key=lambda asked: read.right[asked][-1]),
    }


def _decoded(engine: Engine, ids: Sequence[int]) -> dict[str, Any]:
    """What a tap sees of the text read at once and of one token generated after it, and whether the two agree."""
    name = tap(engine.model.config.n_layers - 1, "hook_resid_post")
    cache = ContiguousCache(engine.model.config, len(ids) + 1)
    prefill = engine.model.forward(torch.tensor([list(ids)]), cache, [name], logits_to_keep=1)
    token = int(prefill.logits[0, -1].argmax())
    step = engine.model.forward(torch.tensor([[token]]), cache, [name]).acts[name][0]
    whole = engine.model.forward(torch.tensor([[*ids, token]]), taps=[name], logits_to_keep=1).acts[name][0, -1]
    return {
        "positions_in_prefill": prefill.acts[name].shape[1],
        "positions_in_decode_step": len(step),
        "decode_state_relative_diff": float(abs(step[0] - whole).max() / abs(whole).max()),
    }


def _caption(engine: Engine, first: Place, second: Place, between: Rope) -> str:
    tokens = dict.fromkeys(spelt(engine.token_text(side.ids[side.position])) for side in (first, second))
    return f"{' and '.join(tokens)} in two texts, pulled by {spelt(between.names[0])} and by {spelt(between.names[1])}."
