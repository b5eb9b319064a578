"""The layers that a setting names, and what is done to them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llm_holes.engine.errors import InputError
from llm_holes.engine.surgery.ablations import LayerSkipped, LayersSwapped
from llm_holes.engine.surgery.operations import Operation


def chosen(skip: str, swap: str, n_layers: int) -> list[Operation]:
    """The operations two settings ask for. Raises InputError for what is not a layer."""
    pair = listed(swap, n_layers)
    if len(pair) not in {0, 2}:
        raise InputError(f"layers to swap: {swap!r}", "Name two layers, such as 9 10, or none.")
    exchanged: list[Operation] = [LayersSwapped(*pair)] if pair else []
    return [*exchanged, *(LayerSkipped(layer) for layer in listed(skip, n_layers))]


def listed(text: str, n_layers: int) -> list[int]:
    """The layers in a text such as `3, 7-9, middle, last-1`, each once. Raises InputError."""
    found: dict[int, None] = {}
    for part in filter(None, re.split(r"[\s,;]+", text)):
        first, last = _range(part, n_layers)
        if not 0 <= first <= last < n_layers:
            hint = f"Layers are 0 to {n_layers - 1}. Write them as 3, 7-9, middle or last-1."
            raise InputError(f"{part!r} is not a layer", hint)
        found |= dict.fromkeys(range(first, last + 1))
    return list(found)


def _range(part: str, n_layers: int) -> tuple[int, int]:
    if place := re.fullmatch(r"(first|middle|last)([+-][0-9]{1,3})?", part):
        layer = {"first": 0, "middle": n_layers // 2, "last": n_layers - 1}[place[1]] + int(place[2] or 0)
        inside = min(max(layer, 0), n_layers - 1)
        return inside, inside
    if numbers := re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part):
        return int(numbers[1]), int(numbers[2] or numbers[1])
    return -1, -1


def in_words(surgery: Sequence[Operation]) -> str:
    """What was done, in words."""
    skipped = [str(o.layer) for o in surgery if isinstance(o, LayerSkipped)]
    parts = [f"{o.first} and {o.second} exchanged" for o in surgery if isinstance(o, LayersSwapped)]
    if skipped:
        parts.append(f"{', '.join(skipped)} skipped")
    if not parts:
        return "nothing changed"
    return ("layer " if len(surgery) == 1 and skipped else "layers ") + ", ".join(parts)
