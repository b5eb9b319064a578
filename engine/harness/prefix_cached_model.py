"""A model asked about contexts that begin alike: what two of them share is computed once (prefix caching)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Acts, Decoder, Output

REMEMBERED = 256


class PrefixCachedModel:
    """Gives the logits after any context. Keeps the keys and values of the last one, and the logits of the last few
    hundred, so that seeded trials of one prompt cost only where they differ. `tokens_read` counts the real work."""

    def __init__(self, model: Decoder) -> None:
        self.tokens_read = 0
        self._model = model
        self._cache = ContiguousCache(model.config)
        self._held: list[int] = []
        self._known: OrderedDict[tuple[int, ...], Tensor] = OrderedDict()

    def logits(self, ids: Sequence[int]) -> Tensor:
        """Logits [d_vocab] after `ids`, at least one. Raises Cancelled when the model's `is_cancelled` says so."""
        key = tuple(ids)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        common = self._rewound(ids)
        logits = last_logits(self._model, ids[common:], self._cache).clone()
        self._hold(ids)
        self.remember(key, logits)
        return logits

    def knows(self, ids: Sequence[int]) -> bool:
        """Whether `logits` needs no pass for these."""
        return tuple(ids) in self._known

    @property
    def held(self) -> Sequence[int]:
        """The context whose keys and values are kept, the last one read."""
        return self._held

    def acts(self, ids: Sequence[int], taps: Collection[str]) -> Acts:
        """The tapped activations of the last of `ids`, reading everything before it."""
        return self.forward(ids, 1, taps).acts

    def forward(self, ids: Sequence[int], last: int, taps: Collection[str] = ()) -> Output:
        """One pass over the `last` of `ids`; those before them are read first, as far as they are not held."""
        before = len(ids) - last
        held = self._rewound(ids[: before + 1])
        if held < before:
            last_logits(self._model, ids[held:before], self._cache)
            self._hold(ids[:before])
        output = self._model.forward(torch.tensor([ids[before:]]), self._cache, taps)
        self._hold(ids)
        return output

    def remember(self, ids: Sequence[int], logits: Tensor) -> None:
        """From now on `logits` knows the answer after `ids` without a pass."""
        self._known[tuple(ids)] = logits
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _rewound(self, ids: Sequence[int]) -> int:
        """Forgets what `ids` does not begin with, and always its last token; returns how much of it is still held."""
        common = min(_shared(self._held, ids), len(ids) - 1)
        del self._held[common:]  # a cancelled pass leaves this true
        self._cache.length = common
        return common

    def _hold(self, ids: Sequence[int]) -> None:
        self.tokens_read += len(ids) - len(self._held)
        self._held = list(ids)


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two contexts have in common at their beginning."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
