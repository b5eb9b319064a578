"""The kinds of attention this lesson puts in the place of the exact one, and what their weights look like."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from llm_holes.engine.frames import Array, Gallery
from llm_holes.engine.model.decoder import AttentionFn, fused_attention
from llm_holes.engine.surgery.attention_parts import unmasked
from llm_holes.engine.surgery.chosen_keys import Buckets, LowRankMaps
from llm_holes.engine.surgery.linear_attention import EluFeatures, NoFeatures, RandomFeatures
from llm_holes.engine.surgery.pooled_attention import Landmarks, TopKeys, WholeTextLandmarks
from llm_holes.lessons.tier3.attention_approximations.trials import Heads

TITLE = 6
"""So many of them fit into a title."""
TOKENS = 16
"""As many as a small map has cells a side."""
SHOWN = (
    ("linear", "linear", 64, "a plain product of features: nothing stands out"),
    ("best keys", "best keys", 4, "the exact weights, but only the highest of each row"),
    ("hashing", "hashing", 4, "only keys whose vectors point the way the query points"),
    ("no mask: it may peek", "no mask", 1, "right of the diagonal: words that come later"),
    ("plain average", "plain average", 1, "no comparison at all"),
    ("random features", "random feat.", 64, "right on average, over all draws of the features"),
    ("landmarks", "landmarks", 4, "each finished block of tokens is seen as one"),
    ("landmarks of the whole text", "whole text", 4, "blocks seen as one before they are finished"),
    ("low-rank maps", "low rank", 4, "the nearest map that a few patterns can be added up to"),
)
"""Method, label, a size that suits few tokens, and what its map shows."""


def attention_fn_of(method: str, size: int, buckets: int, seed: int) -> AttentionFn:
    attention_fns: dict[str, AttentionFn] = {
        "linear": EluFeatures(),
        "random features": RandomFeatures(size, seed),
        "hashing": Buckets(buckets, seed),
        "low-rank maps": LowRankMaps(size),
        "landmarks": Landmarks(size),
        "landmarks of the whole text": WholeTextLandmarks(size),
        "best keys": TopKeys(size),
        "plain average": NoFeatures(),
        "no mask: it may peek": unmasked,
    }
    return attention_fns[method]


def weights_of(attention_fn: AttentionFn, heads: Heads, head: int) -> torch.Tensor:
    """How much of each token's value every token takes home, [query, key]: told by values of which each stands in a
    place of its own."""
    q, k, _ = (x[:, :, :TOKENS] for x in heads)
    group = q.shape[1] // k.shape[1]
    own = torch.eye(k.shape[2])[None, None]
    return attention_fn(q[:, head, None], k[:, head // group, None], own)[0, 0]


def maps(heads: Heads, head: int, words: Sequence[str], method: str, seed: int) -> Gallery:
    """Who takes from whom in one head, exactly and by each method, on the first tokens of the text."""
    attention_fns = [fused_attention, *(attention_fn_of(name, size, 4, seed) for name, _, size, _ in SHOWN)]
    weights = torch.stack([weights_of(fn, heads, head).clamp(min=0.0) for fn in attention_fns])
    names = [name for name, *_ in SHOWN]
    beginning = "".join(words[:TITLE]).strip() + " …" * (len(words) > TITLE)
    return Gallery(
        f"who takes how much from whom: {beginning}",
        Array.of(weights.numpy()),
        ("exact", *(label for _, label, *_ in SHOWN)),
        ("each row: one token, and what it takes from the tokens so far", *(note for *_, note in SHOWN)),
        unit="weight",
        cursor=names.index(method) + 1,
    )
