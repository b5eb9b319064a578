"""What kind of head is it? Measured, by where its weight goes on a text and on random tokens said twice.

Names after Elhage et al. 2021 and Olsson et al. 2022 (previous token, induction) and Xiao et al. 2023 (the sink).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import in_all_layers, tap

THRESHOLD = 0.4
REPEATED = 25
LONGEST = 128
SEED = 0

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HeadScores:
    """Mean attention weight [layer, head] on: the token before, the first token (both on the learner's text, from the
    third token on), the same token earlier, and the token that followed it then (both on 25 random tokens said twice).

    `text` is the pattern of all heads on the text. `row_sum_error` and `future_weight` are the largest over every
    pattern looked at; both should be zero.
    """

    by_type: dict[str, Scores]
    text: Scores
    threshold: float
    row_sum_error: float
    future_weight: float


def head_scores(model: Decoder, ids: Sequence[int]) -> HeadScores:
    """Looks at the first 128 of `ids` and at one random text."""
    rng = torch.Generator().manual_seed(SEED)
    once = torch.randint(0, model.config.d_vocab, (REPEATED,), generator=rng)
    text = patterns(model, ids[:LONGEST])
    twice = patterns(model, torch.cat((once, once)).tolist())
    again = np.arange(REPEATED, 2 * REPEATED)
    late = np.arange(2, text.shape[-1])
    by_type = {
        "previous token": _mean(text[:, :, late, late - 1]),
        "first token": _mean(text[:, :, late, 0]),
        "same token": _mean(twice[:, :, again, again - REPEATED]),
        "induction": _mean(twice[:, :, again, again - REPEATED + 1]),
    }
    both = (text, twice)
    return HeadScores(
        by_type,
        text,
        THRESHOLD,
        max(float(np.abs(p.sum(-1) - 1).max()) for p in both),
        max(float(np.triu(p, 1).max()) for p in both),
    )


def patterns(model: Decoder, ids: Sequence[int]) -> Scores:
    """Attention weights of all heads, [layer, head, query, key]."""
    layers = range(model.config.n_layers)
    taps = in_all_layers("attn.hook_pattern", model.config.n_layers)
    acts = model.forward(torch.tensor([list(ids)]), taps=taps, logits_to_keep=1).acts
    return np.stack([acts[tap(layer, "attn.hook_pattern")][0] for layer in layers])


def _mean(weights: Scores) -> Scores:
    return weights.mean(-1) if weights.shape[-1] else np.zeros(weights.shape[:2], np.float32)
