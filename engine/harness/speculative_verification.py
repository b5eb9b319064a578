"""Several tokens verified in one pass, as in speculative decoding, where a small model or a rule has guessed them.

Source: Leviathan et al. 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel


def verify(model: PrefixCachedModel, ids: Sequence[int], draft: Sequence[int]) -> None:
    """Reads `ids` and a draft of what follows in one pass, so that `model` knows its logits at each place of the draft.

    Where it would write the draft itself, no pass is left to do; a wrong draft costs little and changes nothing.
    Raises Cancelled.
    """
    whole = [*ids, *draft]
    logits = model.forward(whole, len(draft) + 1).logits[0]
    for n, row in enumerate(logits):
        model.remember(whole[: len(ids) + n], row.clone())
