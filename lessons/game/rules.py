"""The game Find the hole as the learner sees it: kinds of damage, difficulties and what a guess is worth. Torch-free.

A case is a seed and a difficulty. While it is open every run carries it and counts as a probe. A run of `FIND_THE_HOLE`
itself compares a layer with the intact one, which is a probe too, or with a guess shows what was broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog.schema import Control
from llm_holes.lessons.catalog.settings import completed

FIND_THE_HOLE = "find-the-hole"
GIVE_UP = "give-up"
EVERYWHERE = -1
"""The layer of a damage that is in every layer."""
NO_HEAD = -1
NOWHERE = -1
"""No layer is to be compared: the run names the damage."""

KIND_POINTS, LAYER_POINTS, HEAD_POINTS, THRIFT_POINTS = 50, 30, 10, 10
PROBE_COST = 2
"""Points for each probe beyond par, the first of them from the thrift."""

PUBLISHES = (
    "truth_kind",
    "truth_layer",
    "truth_head",
    "kl_nats",
    "perplexity_intact",
    "perplexity_damaged",
    "top1_unchanged_share",
    "undo_bit_identical",
    "score",
    "probes",
    "solvable",
)


class Kind(msgspec.Struct, frozen=True):
    """A kind of damage; `has_head` says whether the guess names a head too. `hint` is where to look for it."""

    id: str
    label: str
    hint: str
    has_head: bool = False


KINDS: dict[str, Kind] = {
    kind.id: kind
    for kind in (
        Kind("layer-skipped", "a layer skipped", "One layer adds nothing: the stream after it equals that before."),
        Kind("attention-off", "attention of a layer off", "In one layer the tokens stop exchanging anything."),
        Kind("ffn-off", "FFN of a layer off", "In one layer only attention adds to the stream."),
        Kind("head-off", "a head silenced", "One head still looks around, but carries nothing.", has_head=True),
        Kind("two-bit-matrix", "a matrix at 2 bits", "One matrix has very few different values; count its levels."),
        Kind("noisy-matrix", "noise on a matrix", "One matrix is off by a random amount everywhere."),
        Kind("weight-zeroed", "one weight zeroed", "A single number is gone, one that writes a huge value."),
        Kind("norm-removed", "the norms of a layer gone", "One layer reads a stream that is far too long."),
        Kind("layers-swapped", "two layers swapped", "Two layers work, but in each other's place; name either."),
        Kind("positions-shifted", "positions shifted", "Keys claim to be elsewhere: see how far back heads look."),
        Kind("sink-evicted", "the first token hidden", "From one layer on, nobody can look at the first token."),
        Kind("window-only", "a narrow window", "Far tokens get no weight at all: compare short texts with long ones."),
    )
}


class Difficulty(msgspec.Struct, frozen=True):
    """What may be broken and how loud: `at_least_nats` is never undercut, `at_most_nats` is kept where possible.
    Naming a layer up to `tolerance` beside the right one still earns something."""

    level: int
    name: str
    kinds: tuple[str, ...]
    at_least_nats: float
    at_most_nats: float
    par: int
    tolerance: int


LOUD = ("layer-skipped", "ffn-off", "norm-removed", "layers-swapped", "positions-shifted", "window-only")
QUIET = tuple(kind for kind in KINDS if kind not in {"norm-removed", "weight-zeroed"})
CLEAR = tuple(kind for kind in KINDS if kind not in {"norm-removed", "head-off"})

DIFFICULTIES: dict[int, Difficulty] = {
    1: Difficulty(1, "loud", LOUD, 1.0, float("inf"), par=5, tolerance=3),
    2: Difficulty(2, "clear", CLEAR, 0.2, 2.0, par=8, tolerance=2),
    3: Difficulty(3, "quiet", QUIET, 0.02, 0.4, par=12, tolerance=1),
}

CONTROLS = (
    Control("seed", "int", "case", "Which case it is.", 1, min=0, max=999_999),
    Control("difficulty", "int", "difficulty", "How loud the damage is: 1 loud, 2 clear, 3 quiet.", 1, min=1, max=3),
    Control("guess_kind", "choice", "what is broken", "The kind of damage.", GIVE_UP, choices=(*KINDS, GIVE_UP)),
    Control("guess_layer", "layer", "in which layer", "-1: in every layer.", EVERYWHERE, min=EVERYWHERE),
    Control("guess_head", "head", "which head", "-1: it is not about one head.", NO_HEAD, min=NO_HEAD),
    Control(
        "compare_layer", "layer", "compare layer", "This layer beside the intact one: one probe.", NOWHERE, min=NOWHERE
    ),
    Control("probes", "int", "probes used", "How many runs it took.", 0, min=0, max=1_000_000),
)


def compares(settings: Mapping[str, Value]) -> bool:
    """Whether a run of the game compares a layer; else it names the damage."""
    return settings.get("compare_layer", NOWHERE) != NOWHERE


def checked_move(settings: Mapping[str, Value], model: ModelInfo) -> dict[str, Value]:
    """The settings of a run of the game, defaults filled in. Raises SettingsError."""
    return completed(FIND_THE_HOLE, CONTROLS, settings, model)


class Score(msgspec.Struct, frozen=True):
    """Points of a guess; `thrift` is below zero when it took many probes beyond par."""

    kind: int
    layer: int
    head: int
    thrift: int

    @property
    def total(self) -> int:
        return max(0, self.kind + self.layer + self.head + self.thrift)


def score(difficulty: Difficulty, kind: str, layers: Sequence[int], head: int, guess: Mapping[str, Any]) -> Score:
    """What `guess` is worth against the truth; `layers` are those broken, none for everywhere."""
    if guess["guess_kind"] == GIVE_UP:
        return Score(0, 0, 0, 0)
    right = guess["guess_kind"] == kind
    layer = guess["guess_layer"]
    if layers:
        off = min(abs(layer - n) for n in layers) if layer != EVERYWHERE else difficulty.tolerance + 1
    else:
        # naming no layer is a finding only together with the kind
        off = 0 if right and layer == EVERYWHERE else difficulty.tolerance + 1
    beyond = max(0, guess["probes"] - difficulty.par)
    return Score(
        kind=KIND_POINTS if right else 0,
        layer=max(0, round(LAYER_POINTS * (1 - off / (difficulty.tolerance + 1)))),
        head=HEAD_POINTS if right and off == 0 and guess["guess_head"] == head else 0,
        thrift=(THRIFT_POINTS if right else 0) - PROBE_COST * beyond,
    )
