"""A model whose next tokens are guessed where the text seems to repeat itself, and checked in one pass (prompt lookup).

Source: Saxena 2023, "Prompt Lookup Decoding".
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.speculative_verification import verify
from llm_holes.engine.model.decoder import Decoder

ALIKE = 2
"""Tokens that must have stood together before."""
DRAFTED = 3
"""Tokens guessed: with the last one known four, the most that a pass takes little longer over than over one."""


class DraftingModel(PrefixCachedModel):
    """The same logits as without a draft, for a harness that copies much: calls, quotations. Of use where nobody looks
    at how long a single token takes."""

    def __init__(self, model: Decoder) -> None:
        super().__init__(model)
        self._context = model.config.n_ctx

    def logits(self, ids: Sequence[int]) -> Tensor:
        if not self.knows(ids) and (draft := self._draft(ids)):
            verify(self, ids, draft)
        return super().logits(ids)

    def _draft(self, ids: Sequence[int]) -> Sequence[int]:
        """What followed the last tokens of `ids` where they stood before, in this text or else in the previous one."""
        room = min(DRAFTED, self._context - len(ids))
        return continued(ids, ids, room) or continued(self.held, ids, room)


def continued(text: Sequence[int], ids: Sequence[int], most: int) -> Sequence[int]:
    """Up to `most` tokens that follow in `text`, at the latest place, on the tokens that `ids` ends with; none if they
    are not in it, or nothing follows."""
    end = list(ids[-ALIKE:])
    for start in range(len(text) - ALIKE - 1, -1, -1):
        if list(text[start : start + ALIKE]) == end:
            return text[start + ALIKE : start + ALIKE + most]
    return []
