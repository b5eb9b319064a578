"""A probe of an open case: one layer of the broken model beside the same layer of the intact one.

Two questions, and a learner needs both. Have the two models parted by the time the stream leaves this layer? And does
the layer itself do something else, when both are given what the intact layer gets?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Frame, Table, Tokens
from llm_holes.engine.model.decoder import Decoder, rotary
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import figure, odds, percent, plural
from llm_holes.engine.spelling import spaced, spelt
from llm_holes.engine.surgery.ablations import matrices_of, weight_name
from llm_holes.engine.surgery.operations import weight
from llm_holes.lessons.game.streams import Streams
from llm_holes.lessons.shared.report import Report

EQUAL = 1e-5
"""Below this two results differ by no more than the order in which numbers were added."""
PLACES = {
    "what attention reads": "ln1.hook_normalized",
    "queries": "attn.hook_q",
    "keys": "attn.hook_k",
    "values": "attn.hook_v",
    "keys at their place": "attn.hook_rot_k",
    "where tokens look": "attn.hook_pattern",
    "what heads bring home": "attn.hook_z",
    "what attention adds": "hook_attn_out",
    "what the FFN reads": "ln2.hook_normalized",
    "gates": "mlp.hook_pre",
    "neurons": "mlp.hook_pre_linear",
    "neurons, gated": "mlp.hook_post",
    "what the FFN adds": "hook_mlp_out",
    "what leaves the layer": "hook_resid_post",
}
"""The stations of a layer in the order they are computed, and the points where they are tapped."""
LAST = "what leaves the layer"
TOP = 5
"""So many of each model's likeliest tokens stand in the lens."""
FAINTEST = 1e-9
"""Probabilities below this are taken for it, and called nearly 0: none is infinitely far from another."""
ROWS = 64
"""So many rows of a matrix are looked at to say how many different values a row has."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What was computed at each of PLACES when a layer was given a stream [pos, d_model]."""

    at: Mapping[str, Tensor]

    @classmethod
    def of(cls, model: Decoder, layer: int, stream: Tensor) -> Passed:
        names = {tap(layer, point): place for place, point in PLACES.items()}
        found: dict[str, Tensor] = {}

        def at(name: str, x: Tensor) -> Tensor:
            x = model.at(name, x)
            if name in names:
                found[names[name]] = x[0]
            return x

        with torch.no_grad():
            rotation = rotary(model.config.ropes[layer], 0, len(stream))
            model.block(layer, stream[None], rotation, None, at, names)
        return cls(found)


def compared(engine: Engine, broken: Decoder, ids: Sequence[int], streams: Streams, own: Streams, layer: int) -> Frame:
    """`streams` are the intact model's on this text, `own` those of the broken one."""
    intact, changed = (Passed.of(model, layer, streams[layer]) for model in (engine.model, broken))
    by_place = {place: apart(intact.at[place], changed.at[place]) for place in PLACES}
    by_token = apart(intact.at[LAST], changed.at[LAST], keep=1)
    by_head = _by_head(intact, changed)
    entering, leaving = (apart(streams[n], own[n]) for n in (layer, layer + 1))
    report = Report()
    report.measure(
        compared_layer=layer,
        apart_entering=float(entering),
        apart_leaving=float(leaving),
        apart_by_place={place: float(value) for place, value in by_place.items()},
        apart_by_head=by_head.tolist(),
        tokens_before_first_apart=_before(by_token),
        channels_apart=int(_moved(intact.at[LAST], changed.at[LAST]).any(0).sum()),
        attention_reads_the_stream=bool(torch.equal(changed.at["what attention reads"], streams[layer])),
        attention_adds_nothing=not changed.at["what attention adds"].any(),
        ffn_adds_nothing=not changed.at["what the FFN adds"].any(),
        levels_intact=_levels(engine.model, layer),
        levels_broken=_levels(broken, layer),
    )
    report.say(said(report.measured))
    report.show(
        given_the_same=Bars(
            f"layer {layer}, both given the same: how far apart",
            tuple(by_place),
            tuple(map(float, by_place.values())),
            "share",
            range=(0, 1),
        ),
        token_by_token=Tokens(
            f"which tokens leave layer {layer} changed",
            engine.tokens(ids),
            tuple(by_token.tolist()),
            "how far apart",
        ),
        head_by_head=Bars(
            "what each head brings home: how far apart",
            tuple(f"head {n}" for n in range(len(by_head))),
            tuple(by_head.tolist()),
            "share",
            range=(0, 1),
        ),
        in_words=_in_words(engine, ids[-1], streams[layer + 1][-1], own[layer + 1][-1], layer),
        its_matrices=_matrices(report.measured),
    )
    return report.frame()


def apart(a: Tensor, b: Tensor, keep: int = 0) -> Tensor:
    """How far b is from a: 0 equal, 1 where one of them is nothing at all, and for opposites. The length of the
    difference as a share of both lengths together, over all but the first `keep` dimensions."""
    over = tuple(range(keep, a.dim()))
    both = a.square().sum(over).sqrt() + b.square().sum(over).sqrt()
    far = (a - b).square().sum(over).sqrt() / both.clamp_min(1e-12)
    return torch.where(far < EQUAL, torch.zeros_like(far), far)


def said(measured: Mapping[str, Any]) -> str:
    """What to look at, in one line."""
    layer, first = measured["compared_layer"], first_apart(measured["apart_by_place"])
    where = (
        f"Entering layer {layer}: {_far(measured['apart_entering'])}; leaving it: {_far(measured['apart_leaving'])}."
    )
    if not first:
        return f"{where} Given the same, it does the same."
    return f"{where} Given the same, its {first.removeprefix('what ')} part first."


def first_apart(by_place: Mapping[str, float]) -> str:
    """The first of PLACES where the two differ, "" where they do not."""
    return next((place for place in PLACES if by_place[place] > 0), "")


def _far(share: float) -> str:
    return f"{percent(share)} apart" if share else "equal"


def _by_head(intact: Passed, changed: Passed) -> Tensor:
    """How far apart what each head brings home is, [head]."""
    a, b = (passed.at["what heads bring home"].transpose(0, 1) for passed in (intact, changed))
    return apart(a, b, keep=1)


def _before(by_token: Tensor) -> int:
    """How many tokens from the start are equal in both."""
    changed = (by_token > 0).nonzero()
    return int(changed[0]) if len(changed) else len(by_token)


def _moved(a: Tensor, b: Tensor) -> Tensor:
    """Which numbers [pos, d_model] differ by more than the order of additions explains."""
    return (a - b).abs() > EQUAL * a.abs().clamp_min(float(a.norm() / a.numel() ** 0.5))


def _in_words(engine: Engine, last: int, intact: Tensor, broken: Tensor, layer: int) -> Bars:
    """What both streams [d_model] say of the next token, read with the intact model's table: by how many powers of ten
    the likeliest of both became likelier."""
    with torch.no_grad():
        p, q = engine.model.unembed(torch.stack([intact, broken])).softmax(-1)
    tokens = list(dict.fromkeys([*p.topk(TOP).indices.tolist(), *q.topk(TOP).indices.tolist()]))
    factors = (q[tokens].clamp_min(FAINTEST) / p[tokens].clamp_min(FAINTEST)).log10()
    labels = (f"{spaced(engine.token_text(n))} {_chance(p[n])} → {_chance(q[n])}" for n in tokens)
    return Bars(
        f"what follows {spelt(engine.token_text(last))} at layer {layer}, intact → broken",
        tuple(labels),
        tuple(map(float, factors)),
        "powers of ten",
        range=(-3, 3),
    )


def _chance(p: Tensor) -> str:
    return odds(float(p)) if p >= FAINTEST else "nearly 0"


def _levels(model: Decoder, layer: int) -> dict[str, float | int | str | bool]:
    """How many different values a row of each matrix has, on average over its first ROWS."""
    found: dict[str, float | int | str | bool] = {}
    for matrix in matrices_of(model):
        rows = weight(model, weight_name(layer, matrix))[:ROWS].sort(-1).values
        found[matrix.rpartition(".")[2]] = float((rows.diff(dim=-1) != 0).sum(-1).add(1).float().mean())
    return found


def _matrices(measured: Mapping[str, Any]) -> Table:
    intact, broken = measured["levels_intact"], measured["levels_broken"]
    rows = tuple((name, figure(round(intact[name], 1)), figure(round(broken[name], 1))) for name in intact)
    different = [n for n, name in enumerate(intact) if intact[name] != broken[name]]
    return Table(
        f"different values in a row: {plural(len(different), 'matrix differs', 'matrices differ')}",
        ("matrix", "intact", "broken"),
        rows,
        different[0] if different else None,
    )
