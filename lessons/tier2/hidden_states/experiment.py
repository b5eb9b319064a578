"""One word in two texts: how its vector parts from itself layer by layer, how long it gets, and where it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame
from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import figure
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier2.hidden_states.state_views import (
    Place,
    both_paths,
    channel_map,
    cosine_curve,
    likeness,
    norm_curve,
)

APART = 0.9
CLOSER = 0.01
"""By how much a layer must raise the cosine to count as one that brings the two closer: less is rounding."""
WINDOW = 256
"""Positions kept of a long text: the word must be among the last of them."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    word_b = p["word_b"] or p["word"]
    first, second = place(engine, p["text"], p["word"]), place(engine, p["text_b"], word_b)
    kept = _smaller(first.own, second.own, p["channels_off"])
    raw, rest = (_cosines(a, b) for a, b in ((first.own, second.own), (first.own[:, kept], second.own[:, kept])))
    report = Report()
    report.measure(_cosine_facts(engine, first, second, raw, rest) | _norm_facts(first))
    report.say(_caption(p["word"], report.measured))
    report.show(how_alike=cosine_curve(raw, rest, p["channels_off"]), how_long=norm_curve(first, p["word"]))
    yield report.frame(0.5)
    report.measure(_decoded(engine, first.ids))
    path, other = both_paths(first, second), likeness(engine, first, second, p["layer"])
    report.show_also(which_token=other, two_paths=path, strongest_channels=channel_map(first.own))
    yield report.frame()


def place(engine: Engine, text: str, word: str) -> Place:
    """Where the word is last in the text: the token that ends it. Raises InputError if it is not there."""
    ids = engine.encode(text, 1)
    pieces = [engine.tokenizer.token_bytes(i) for i in ids]
    typed = word.strip().encode()
    start = b"".join(pieces).rfind(typed) if typed else -1
    if start < 0:
        raise InputError(f"{word!r} is not in {text!r}", "Type a word as it is written in the text.")
    end, position = start + len(typed), 0
    while sum(map(len, pieces[: position + 1])) < end:
        position += 1
    unseen = max(len(ids) - WINDOW, 0)
    if position < unseen:
        raise InputError(f"{word!r} comes too early in the text", f"It must be among the last {WINDOW} tokens.")
    stream = residual_stream(engine.model, ids, WINDOW)
    return Place(ids, stream, position, stream[:, position - unseen])


def _smaller(a: Tensor, b: Tensor, count: int) -> Tensor:
    """All channels but the `count` with the largest share of the squared length, on average over all states."""
    both = torch.stack((a, b)).square()
    share = (both / both.sum(-1, keepdim=True)).mean((0, 1))
    return share.argsort(descending=True)[count:].sort().values


def _cosines(a: Tensor, b: Tensor) -> list[float]:
    found: list[float] = torch.cosine_similarity(a, b, dim=-1, eps=1e-12).tolist()
    return found


def _cosine_facts(
    engine: Engine, first: Place, second: Place, raw: Sequence[float], rest: Sequence[float]
) -> dict[str, Any]:
    layers = engine.model.config.n_layers
    apart = next((state for state, value in enumerate(raw) if value < APART), layers + 1)
    return {
        "token_a": engine.token_text(first.ids[first.position]),
        "token_b": engine.token_text(second.ids[second.position]),
        "cosine_per_layer": list(raw),
        "cosine_without_largest_per_layer": list(rest),
        "cosine_embedding": raw[0],
        "cosine_lowest": min(raw),
        "cosine_last": raw[-1],
        "divergence_layer": apart - 1,
        "divergence": f"after layer {apart - 1}" if 0 < apart <= layers else "nowhere" if apart else "in the embedding",
        "divergence_threshold": APART,
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


def _caption(word: str, measured: Mapping[str, Any]) -> str:
    return (
        f"{spelt(word.strip())} in two texts: cosine {figure(measured['cosine_embedding'])} in the embedding, at least "
        f"{figure(measured['cosine_lowest'])} on the way, {figure(measured['cosine_last'])} at the end."
    )
