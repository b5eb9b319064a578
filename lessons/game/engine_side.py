"""Find the hole: the open cases of one engine process, and the run that names the damage and sees the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Table
from llm_holes.engine.ipc.messages import Case
from llm_holes.engine.numbers import figure
from llm_holes.lessons.game.compare import compared
from llm_holes.lessons.game.damage import Damage, Measured, Yardstick, find
from llm_holes.lessons.game.rules import DIFFICULTIES, EVERYWHERE, GIVE_UP, KINDS, NO_HEAD, Score, compares, score
from llm_holes.lessons.game.solver import Guess, solve
from llm_holes.lessons.game.streams import Streams, logits, streams_after, streams_of
from llm_holes.lessons.shared.passage import NAME, passage

TOKENS = 128
"""The start of the passage that damages are measured on."""


class Cases:
    """The damage of each case asked for so far, found once.

    Args:
        tokens: how many of the passage damages are measured on.
    """

    def __init__(self, tokens: int = TOKENS) -> None:
        self._tokens = tokens
        self._yardstick: Yardstick | None = None
        self._found: dict[Case, Measured] = {}
        self._streams: dict[Case, Streams] = {}
        """Of the case that was compared last."""

    def damaged(self, engine: Engine, case: Case) -> Engine:
        """The engine with what the case breaks. Raises InputError, Cancelled."""
        return engine.operated(self.found(engine, case).damage.operations)

    def found(self, engine: Engine, case: Case) -> Measured:
        if case not in self._found:
            self._found[case] = find(engine.model, self.yardstick(engine), case)
        return self._found[case]

    def yardstick(self, engine: Engine) -> Yardstick:
        if self._yardstick is None:
            self._yardstick = Yardstick.of(engine.model, engine.encode(passage())[: self._tokens])
        return self._yardstick

    def run(self, engine: Engine, asked: Mapping[str, Any]) -> Iterator[Frame]:
        """What one move of the game shows. Raises InputError, Cancelled."""
        return self.compare(engine, asked) if compares(asked) else self.reveal(engine, asked)

    def compare(self, engine: Engine, asked: Mapping[str, Any]) -> Iterator[Frame]:
        """One frame: a layer of the case's broken model beside that of the intact one."""
        yield self._compared(engine, Case(asked["seed"], asked["difficulty"]), asked["compare_layer"])

    def _compared(self, engine: Engine, case: Case, layer: int) -> Frame:
        yardstick, damage = self.yardstick(engine), self.found(engine, case).damage
        broken = self.damaged(engine, case).model
        if case not in self._streams:
            self._streams = {case: streams_after(broken, yardstick.streams, damage.first)}
        return compared(engine, broken, yardstick.ids, yardstick.streams, self._streams[case], layer)

    def reveal(self, engine: Engine, guess: Mapping[str, Any]) -> Iterator[Frame]:
        """One frame: the truth of the case, its effect, and what the guess is worth."""
        case = Case(guess["seed"], guess["difficulty"])
        found, yardstick = self.found(engine, case), self.yardstick(engine)
        damage, effect = found.damage, found.effect
        points = score(DIFFICULTIES[case.difficulty], damage.kind, damage.layers, damage.head, guess)
        again = logits(engine.model, streams_of(engine.model, yardstick.ids))
        looks: dict[int, Frame] = {}

        def look(layer: int) -> Mapping[str, Any]:
            looks[layer] = self._compared(engine, case, layer)
            return looks[layer].measured

        solved = solve(look, engine.model.config.n_layers)
        measured: dict[str, Any] = {
            "truth_kind": damage.kind,
            "truth_layer": damage.layers[0] if damage.layers else EVERYWHERE,
            "truth_head": damage.head,
            "kl_nats": effect.kl_nats,
            "perplexity_intact": effect.perplexity_intact,
            "perplexity_damaged": effect.perplexity_damaged,
            "top1_unchanged_share": effect.top1_unchanged,
            "undo_bit_identical": torch.equal(again, yardstick.intact),
            "score": points.total,
            "probes": guess["probes"],
            "solvable": names(solved, damage),
        }
        caption = (
            f"{damage.text[0].upper()}{damage.text[1:]}: KL {figure(effect.kl_nats)} nats on the passage, perplexity "
            f"{figure(effect.perplexity_intact)} → {figure(effect.perplexity_damaged)}. {points.total} of 100 points."
        )
        yield Frame(caption, (_verdict(found, guess, points), _effect(found), _looks(solved.looked, looks)), measured)


def names(guess: Guess, damage: Damage) -> bool:
    """Whether the guess is the truth, whole."""
    layer = guess.layer in damage.layers if damage.layers else guess.layer == EVERYWHERE
    return layer and guess.kind == damage.kind and guess.head == damage.head


def _looks(order: Sequence[int], looks: Mapping[int, Frame]) -> Table:
    rows = tuple((f"compare layer {layer}", looks[layer].caption) for layer in order)
    return Table("how one could have seen it, each probe halving what is left", ("probe", "what it shows"), rows)


def _verdict(found: Measured, guess: Mapping[str, Any], points: Score) -> Table:
    damage, kind = found.damage, guess["guess_kind"]
    par = DIFFICULTIES[guess["difficulty"]].par
    rows = (
        ("kind", "given up" if kind == GIVE_UP else KINDS[kind].label, KINDS[damage.kind].label, points.kind),
        ("layer", _layer(guess["guess_layer"]), _layer(*damage.layers), points.layer),
        ("head", _head(guess["guess_head"]), _head(damage.head), points.head),
        ("probes", str(guess["probes"]), f"par {par}", points.thrift),
        ("", "", "", points.total),
    )
    return Table("what you named and what it was", ("", "you said", "it was", "points"), rows)


def _effect(found: Measured) -> Table:
    effect = found.effect
    rows = (
        ("perplexity, intact", effect.perplexity_intact),
        ("perplexity, damaged", effect.perplexity_damaged),
        ("KL, nats", effect.kl_nats),
        ("same likeliest token, share", effect.top1_unchanged),
    )
    return Table(f"on the first {TOKENS} tokens of {NAME}", ("", "measured"), rows)


def _layer(*layers: int) -> str:
    return " and ".join(str(n) for n in layers if n != EVERYWHERE) or "every"


def _head(head: int) -> str:
    return "none" if head == NO_HEAD else str(head)
