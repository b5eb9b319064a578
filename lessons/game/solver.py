"""Solves a case of Find the hole by its own probes: the proof that a player can. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from llm_holes.lessons.game.rules import EVERYWHERE, NO_HEAD

Look = Callable[[int], Mapping[str, Any]]
"""What comparing a layer of the broken model with the intact one measures."""
MATRIX_OF = {
    "queries": "q_proj",
    "keys": "k_proj",
    "values": "v_proj",
    "what attention adds": "o_proj",
    "gates": "gate_proj",
    "neurons": "up_proj",
    "what the FFN adds": "down_proj",
}
"""Which matrix is at fault where this is the first place to part."""


class Guess(msgspec.Struct, frozen=True):
    """What is broken, as `rules` names it, and which layers were looked at, in this order."""

    kind: str
    layer: int
    head: int
    looked: tuple[int, ...]


def solve(look: Look, n_layers: int) -> Guess:
    """Halves the layers until the first is found that the stream leaves changed, and reads from that layer what is
    broken."""
    seen: dict[int, Mapping[str, Any]] = {}

    def at(layer: int) -> Mapping[str, Any]:
        if layer not in seen:
            seen[layer] = look(layer)
        return seen[layer]

    low, high = 0, n_layers - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle)["apart_leaving"] > 0 else (middle + 1, high)
    kind, head = named(at(low))
    layer = low
    if kind in ("positions-shifted", "window-only"):
        other = low + 1 if low + 1 < n_layers else low
        layer = EVERYWHERE if other != low and named(at(other))[0] == kind else low
    return Guess(kind, layer, head, tuple(seen))


def named(seen: Mapping[str, Any]) -> tuple[str, int]:
    """The kind of damage and the head that one layer, given what the intact one gets, shows; "" where it shows none."""
    first = next((place for place, far in seen["apart_by_place"].items() if far > 0), "")
    if not first:
        return "", NO_HEAD
    if first == "what attention reads":
        return "norm-removed" if seen["attention_reads_the_stream"] else "layers-swapped", NO_HEAD
    if seen["attention_adds_nothing"]:
        return "layer-skipped" if seen["ffn_adds_nothing"] else "attention-off", NO_HEAD
    if seen["ffn_adds_nothing"]:
        return "ffn-off", NO_HEAD
    if first == "keys at their place":
        return "positions-shifted", NO_HEAD
    if first == "where tokens look":
        return "sink-evicted" if seen["tokens_before_first_apart"] == 1 else "window-only", NO_HEAD
    if first == "what heads bring home":
        return "head-off", max(range(len(seen["apart_by_head"])), key=seen["apart_by_head"].__getitem__)
    matrix = MATRIX_OF[first]
    fewer = seen["levels_broken"][matrix] < seen["levels_intact"][matrix] / 2
    if matrix == "down_proj" and seen["channels_apart"] == 1:
        return "weight-zeroed", NO_HEAD
    return "two-bit-matrix" if fewer else "noisy-matrix", NO_HEAD
