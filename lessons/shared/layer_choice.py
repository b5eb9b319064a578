"""Which layers an operation is done to: the choice several lessons offer, in the same words."""

from __future__ import annotations

ALL = "all"


def chosen(choice: str, layer: int, n_layers: int) -> tuple[int, ...]:
    """The layers a choice means; `layer` is the one meant by "only one". The first of every second is the second."""
    half = n_layers // 2
    places = {
        "every second": range(1, n_layers, 2),
        "lower half": range(half),
        "upper half": range(half, n_layers),
        "only one": range(layer, layer + 1),
    }
    return tuple(places.get(choice, range(n_layers)))
