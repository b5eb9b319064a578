"""One word in two texts: how its vector parts from itself layer by layer, how long it gets, and where it goes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Array, Curve, Frame, Heatmap, Scatter, Tokens, series
from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import figure, plural
from llm_holes.lessons.shared.report import Report

APART = 0.9
WINDOW = 256
"""Positions kept of a long text: the word must be among the last of them."""
CHANNELS = 48
CAP = 4.0
EVERY = 3


@dataclass(frozen=True)
class Place:
    """A word in a text: the text's ids, the states [state, pos, d_model] of its last positions, and the word's own
    [state, d_model]."""

    ids: list[int]
    stream: Tensor
    position: int
    own: Tensor


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    word_b = p["word_b"] or p["word"]
    first, second = place(engine, p["text"], p["word"]), place(engine, p["text_b"], word_b)
    kept = _smaller(first.own, second.own, p["channels_off"])
    raw, rest = (_cosines(a, b) for a, b in ((first.own, second.own), (first.own[:, kept], second.own[:, kept])))
    report = Report()
    report.measure(_cosine_facts(engine, first, second, raw, rest) | _norm_facts(first))
    report.say(_caption(p["word"], report.measured))
    report.show(_curve(raw, rest, p["channels_off"]), _norms(first, p["word"]))
    yield report.frame(0.5)
    report.measure(_decoded(engine, first.ids))
    path, other = _path(first, second), _other(engine, first, second, p["layer"])
    report.show(*report.views, path, other, _map(first.own))
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
        "layers_that_bring_closer": sum(after > before for before, after in pairwise(raw)),
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


def _curve(raw: Sequence[float], rest: Sequence[float], off: int) -> Curve:
    xs = range(len(raw))
    lines = [series("all channels", xs, raw)]
    if off:
        lines.append(series(f"without the {off} largest", xs, rest))
    return Curve("cosine between the two", tuple(lines), "layers passed", "cosine")


def _norms(first: Place, word: str) -> Curve:
    norms = first.stream.norm(dim=-1)
    xs = range(len(norms))
    lines = [series(word.strip(), xs, first.own.norm(dim=-1).tolist())]
    lines.append(series("median of the text", xs, norms.median(-1).values.tolist()))
    if first.stream.shape[1] == len(first.ids):
        lines.append(series("first token", xs, norms[:, 0].tolist()))
    return Curve("length of the vectors", tuple(lines), "layers passed", "length", log_y=True)


def _path(first: Place, second: Place) -> Scatter:
    """Both paths on the plane of their two widest directions; every vector at length 1, or the last would drown all."""
    unit = torch.nn.functional.normalize(torch.cat((first.own, second.own)), dim=-1)
    centered = unit - unit.mean(0)
    plane = torch.linalg.svd(centered, full_matrices=False).Vh[:2]
    points = centered @ plane.T
    count = len(first.own)
    shown = [n for n in range(count) if n % EVERY == 0]
    rows = torch.tensor(shown + [count + n for n in shown])
    x, y = (tuple(points[rows, axis].tolist()) for axis in range(2))
    groups = ("in the first text",) * len(shown) + ("in the second",) * len(shown)
    names = tuple(f"{n}{side}" for side in "ab" for n in shown)
    return Scatter("the way through the layers (layers passed)", names, x, y, groups)


def _other(engine: Engine, first: Place, second: Place, layer: int) -> Tokens:
    """The second text, each token shaded by its cosine with the first text's word after `layer`."""
    cosines = torch.cosine_similarity(second.stream[layer + 1], first.own[layer + 1][None], dim=-1, eps=1e-12)
    ids = second.ids[-len(cosines) :]
    title = f"after layer {layer}: which token of the second text is most like the first text's"
    return Tokens(title, engine.tokens(ids), tuple(cosines.clamp(0, 1).tolist()), "cosine")


def _map(own: Tensor) -> Heatmap:
    """The channels with the most to say, each state in units of its own typical size."""
    scaled = own / (own.norm(dim=-1, keepdim=True) / math.sqrt(own.shape[-1])).clamp_min(1e-12)
    most = scaled.abs().mean(0).argsort(descending=True)[:CHANNELS]
    return Heatmap(
        f"the state itself: its {len(most)} strongest channels (in typical sizes, capped at {figure(CAP)})",
        Array.of(scaled[:, most].clamp(-CAP, CAP).numpy()),
        row_label="layers passed",
        column_label="channel",
        column_names=tuple(str(int(n)) for n in most),
    )


def _caption(word: str, measured: Mapping[str, Any]) -> str:
    return (
        f"{word.strip()!r} in two texts: cosine {figure(measured['cosine_embedding'])} in the embedding, at least "
        f"{figure(measured['cosine_lowest'])} on the way, {figure(measured['cosine_last'])} at the end; "
        f"closer after {plural(measured['layers_that_bring_closer'], 'layer')} than before."
    )
