"""Draws the one damage of a case and measures it, so that no case is without an effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from llm_holes.engine.errors import InputError
from llm_holes.engine.ipc.messages import Case
from llm_holes.engine.measure import kl_nats, perplexity
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.numbers import exact
from llm_holes.engine.surgery.ablations import (
    AttentionOff,
    FfnOff,
    LayerSkipped,
    LayersSwapped,
    NoisyWeights,
    NormRemoved,
    PositionsShifted,
    SinkEvicted,
    WindowOnly,
    matrices_of,
    super_weight,
    weight_name,
)
from llm_holes.engine.surgery.operations import HeadOff, Operation, QuantizedWeights, operated
from llm_holes.lessons.game.rules import DIFFICULTIES, NO_HEAD, Difficulty
from llm_holes.lessons.game.streams import Streams, logits, streams_after, streams_of

KINDS_DRAWN = 4
PLACES_DRAWN = 4
"""Per kind, until one of them has the effect that is wanted."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is broken, the lowest of its `layers` first; no `layers` means everywhere. `text` is a clause: "layer 11
    was skipped"."""

    kind: str
    layers: tuple[int, ...]
    text: str
    operations: tuple[Operation, ...]
    head: int = NO_HEAD

    @property
    def first(self) -> int:
        """The lowest layer that is not as it was."""
        return self.layers[0] if self.layers else 0


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The text a damage is measured on, and the intact model's streams and logits [pos, vocabulary] on it."""

    ids: tuple[int, ...]
    streams: Streams
    intact: Tensor

    @classmethod
    def of(cls, model: Decoder, ids: Sequence[int]) -> Yardstick:
        streams = streams_of(model, ids)
        return cls(tuple(ids), streams, logits(model, streams))


@dataclass(frozen=True, slots=True)
class Effect:
    """What a damage does to the yardstick; `top1_unchanged` is the share of positions with the same likeliest token."""

    kl_nats: float
    perplexity_intact: float
    perplexity_damaged: float
    top1_unchanged: float


@dataclass(frozen=True, slots=True)
class Measured:
    damage: Damage
    effect: Effect


def find(model: Decoder, yardstick: Yardstick, case: Case) -> Measured:
    """The damage of the case: the same for the same model, yardstick and case.

    Its effect is never below the difficulty's `at_least_nats`. The first candidate that is not above `at_most_nats`
    either is taken, else the quietest. Raises InputError where nothing has such an effect or the difficulty is unknown.
    """
    difficulty = DIFFICULTIES.get(case.difficulty)
    if difficulty is None:
        raise InputError(f"difficulty is one of {', '.join(map(str, DIFFICULTIES))}, not {case.difficulty}")
    seen: list[Measured] = []
    for damage in candidates(model, yardstick, case.seed, difficulty):
        if any(damage == other.damage for other in seen):
            continue
        found = Measured(damage, effect(model, yardstick, damage))
        if difficulty.at_least_nats <= found.effect.kl_nats <= difficulty.at_most_nats:
            return found
        seen.append(found)
    return _quietest(model, yardstick, difficulty, seen)


def _quietest(model: Decoder, yardstick: Yardstick, difficulty: Difficulty, seen: Sequence[Measured]) -> Measured:
    """The quietest of those loud enough; where none is, the first layer skipped, which hurts most models most."""
    last = skip(0)
    heard = [found for found in seen if found.effect.kl_nats >= difficulty.at_least_nats]
    heard = heard or [Measured(last, effect(model, yardstick, last))]
    quietest = min(heard, key=lambda found: found.effect.kl_nats)
    if quietest.effect.kl_nats < difficulty.at_least_nats:
        raise InputError(
            f"no damage of at least {exact(difficulty.at_least_nats)} nats was found on this model",
            "Choose another case or a higher difficulty, or play with the default model.",
        )
    return quietest


def candidates(model: Decoder, yardstick: Yardstick, seed: int, difficulty: Difficulty) -> Iterator[Damage]:
    rng = Random(f"{seed}/{difficulty.level}")
    for kind in rng.sample(difficulty.kinds, min(KINDS_DRAWN, len(difficulty.kinds))):
        for _ in range(PLACES_DRAWN):
            yield DRAWS[kind](Draw(rng, model, yardstick.ids, difficulty.level))


def effect(model: Decoder, yardstick: Yardstick, damage: Damage) -> Effect:
    ids, intact = torch.tensor(yardstick.ids), yardstick.intact
    broken = operated(model, damage.operations)
    damaged = logits(broken, streams_after(broken, yardstick.streams, damage.first))
    unchanged = (intact.argmax(-1) == damaged.argmax(-1)).float().mean()
    return Effect(kl_nats(intact, damaged), perplexity(intact, ids), perplexity(damaged, ids), float(unchanged))


@dataclass(frozen=True)
class Draw:
    """What a kind of damage is drawn from."""

    rng: Random
    model: Decoder
    ids: Sequence[int]
    level: int

    def layer(self) -> int:
        return self.rng.randrange(self.model.config.n_layers)

    def layers(self, apart: Sequence[int]) -> tuple[int, int]:
        """Two layers, as many apart as one of `apart` says, or as far as the model allows."""
        count = self.model.config.n_layers
        distance = min(self.rng.choice(apart), count - 1)
        first = self.rng.randrange(count - distance)
        return first, first + distance


def skip(layer: int) -> Damage:
    return Damage("layer-skipped", (layer,), f"layer {layer} was skipped", (LayerSkipped(layer),))


def attention_off(draw: Draw) -> Damage:
    layer = draw.layer()
    return Damage("attention-off", (layer,), f"the attention of layer {layer} was off", (AttentionOff(layer),))


def ffn_off(draw: Draw) -> Damage:
    layer = draw.layer()
    return Damage("ffn-off", (layer,), f"the FFN of layer {layer} was off", (FfnOff(layer),))


def head_off(draw: Draw) -> Damage:
    layer, head = draw.layer(), draw.rng.randrange(draw.model.config.n_heads)
    return Damage("head-off", (layer,), f"head {head} of layer {layer} was silenced", (HeadOff(layer, head),), head)


def two_bit(draw: Draw) -> Damage:
    layer, matrix = draw.layer(), draw.rng.choice(matrices_of(draw.model))
    rounding = QuantizedWeights(2, names=(weight_name(layer, matrix),))
    return Damage("two-bit-matrix", (layer,), f"{matrix} of layer {layer} was rounded to 2 bits", (rounding,))


def noisy(draw: Draw) -> Damage:
    layer, matrix = draw.layer(), draw.rng.choice(matrices_of(draw.model))
    sigma = 1.0 if draw.level < 3 else 0.4
    noise = NoisyWeights(layer, matrix, sigma, draw.rng.randrange(2**31))
    text = f"{matrix} of layer {layer} had noise added, {exact(sigma)} times its own spread"
    return Damage("noisy-matrix", (layer,), text, (noise,))


def weight_zeroed(draw: Draw) -> Damage:
    zeroed = super_weight(draw.model, draw.ids)
    text = f"one weight was zero: {zeroed.matrix} of layer {zeroed.layer}, row {zeroed.row}, column {zeroed.column}"
    return Damage("weight-zeroed", (zeroed.layer,), text, (zeroed,))


def norm_removed(draw: Draw) -> Damage:
    layer = draw.layer()
    return Damage("norm-removed", (layer,), f"the norms of layer {layer} were gone", (NormRemoved(layer),))


def swapped(draw: Draw) -> Damage:
    first, second = draw.layers({1: range(8, 20), 2: range(2, 6)}.get(draw.level, range(1, 3)))
    text = f"layers {first} and {second} were in each other's place"
    return Damage("layers-swapped", (first, second), text, (LayersSwapped(first, second),))


def shifted(draw: Draw) -> Damage:
    shift = draw.rng.choice((1, 2) if draw.level == 2 else range(3, 13)) * draw.rng.choice((-1, 1))
    layer = draw.layer() if draw.level == 3 else None
    where = f"of layer {layer}" if layer is not None else "of every layer"
    text = f"the keys {where} were turned {abs(shift)} positions {'on' if shift > 0 else 'back'}"
    return Damage("positions-shifted", _layers(layer), text, (PositionsShifted(shift, layer),))


def sink_evicted(draw: Draw) -> Damage:
    # evicted from the bottom up, the second token becomes the first and nothing is missed
    count = draw.model.config.n_layers
    first = draw.rng.randrange(count // 3, count)
    text = f"from layer {first} on no token could look at the first one"
    return Damage("sink-evicted", (first,), text, tuple(SinkEvicted(n) for n in range(first, count)))


def narrowed(draw: Draw) -> Damage:
    window = draw.rng.choice(range(24, 65) if draw.level == 2 else range(4, 17))
    layer = draw.layer() if draw.level == 3 else None
    where = f"in layer {layer}" if layer is not None else "in every layer"
    text = f"{where} each token saw only the last {window}"
    return Damage("window-only", _layers(layer), text, (WindowOnly(window, layer),))


def _layers(layer: int | None) -> tuple[int, ...]:
    return () if layer is None else (layer,)


DRAWS: dict[str, Callable[[Draw], Damage]] = {
    "layer-skipped": lambda draw: skip(draw.layer()),
    "attention-off": attention_off,
    "ffn-off": ffn_off,
    "head-off": head_off,
    "two-bit-matrix": two_bit,
    "noisy-matrix": noisy,
    "weight-zeroed": weight_zeroed,
    "norm-removed": norm_removed,
    "layers-swapped": swapped,
    "positions-shifted": shifted,
    "sink-evicted": sink_evicted,
    "window-only": narrowed,
}
