"""Where one word looks, head by head, and on average: many looks, or the one that is left if all must agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import structs

from llm_holes.engine.frames import Array, Gallery, Heatmap
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.head_views import Patterns, habits, layer_gallery, shrunk

MEAN = "mean"


def favourites(patterns: Patterns, names: Sequence[str], position: int) -> dict[str, Any]:
    """How many words are the favourite of some head of patterns [head, query, key]; and what the mean looks at."""
    looks = patterns[:, position]
    mean = looks.mean(0)
    return {
        "token": spelt(names[position]),
        "favourites": len(set(looks.argmax(-1).tolist())),
        "mean_looks_at": spelt(names[int(mean.argmax())]),
        "weight_on_mean_look": float(mean.max()),
    }


def one_word(layer: int, patterns: Patterns, names: Sequence[str], position: int, head: int) -> Heatmap:
    """The heads' weights [1 + head, key] for the word at `position`, below their mean."""
    looks = patterns[:, position, : position + 1]
    return Heatmap(
        f"layer {layer}: where {spelt(names[position])} looks, head by head",
        Array.of(np.vstack((looks.mean(0), looks))),
        row_label="row",
        column_label="looks at",
        row_names=(MEAN, *(f"head {n}" for n in range(len(looks)))),
        column_names=tuple(names[: position + 1]),
        unit="weight",
        cursor=(1 + head, int(looks[head].argmax())),
        range=(0.0, 1.0),
    )


def all_words(layer: int, patterns: Patterns, head: int, notes: Sequence[str] = ()) -> Gallery:
    """Every head's whole map, and last the mean of all of them."""
    gallery, mean = layer_gallery(layer, patterns, head, notes), patterns.mean(0)
    both = np.concatenate((patterns, mean[None]))
    return structs.replace(
        gallery,
        title=f"{gallery.title}; last, their mean",
        values=shrunk(both, gallery.values.shape[-1]),
        labels=(*gallery.labels, MEAN),
        notes=(*gallery.notes, f"the mean of the {len(patterns)} heads: {habits(mean)}"),
    )
