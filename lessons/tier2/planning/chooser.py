"""Which of a few steps a model takes next: the probability of each, where it may write nothing but one of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import in_all_layers
from llm_holes.lessons.tier2.planning.helps import Part
from llm_holes.lessons.tier2.planning.shares import forced_in, shared_out


class Chooser:
    """Reads texts that begin alike; what two of them share is read once. `options` are the steps that are offered: as
    in a forced tool call, each token is allowed only if it goes on with one of them."""

    def __init__(self, engine: Engine, options: Sequence[str]) -> None:
        self.options = tuple(options)
        self._engine = engine
        self._endings = [engine.tokenizer.encode(f" {option}\n") for option in options]
        self._cache = ContiguousCache(engine.model.config)
        self._held: list[int] = []
        self._known: dict[tuple[int, ...], list[float]] = {}

    def ids(self, parts: Sequence[Part]) -> list[int]:
        """The tokens of the text, each part encoded by itself, so that parts have places in it. Raises InputError."""
        found = [i for part in parts for i in self._engine.tokenizer.encode(part.text)]
        return self._engine.fits(found, max(map(len, self._endings)))

    def shares(self, parts: Sequence[Part]) -> list[float]:
        """How likely each option is after the text; together they are certain."""
        ids = self.ids(parts)
        key = tuple(ids)
        if key not in self._known:
            self._known[key] = shared_out(
                self._endings, lambda before, tokens: self._read([*ids, *before])[list(tokens)].softmax(-1).tolist()
            )
        return self._known[key]

    def forced(self, choice: str) -> int:
        """How many tokens of an option were no choice: after those before them only one token was allowed."""
        return forced_in(self._endings[self.options.index(choice)], self._endings)

    def attention(self, parts: Sequence[Part], kinds: set[str]) -> float:
        """The mean over layers and heads of the weight on the parts of these kinds, at the last token of the text."""
        ids, places, at = self.ids(parts), list[int](), 0
        for part in parts:
            length = len(self._engine.tokenizer.encode(part.text))
            places += range(at, at + length) if part.kind in kinds else ()
            at += length
        if not places:
            return 0.0
        if self._rewind(ids) < len(ids) - 1:
            last_logits(self._engine.model, ids[len(self._held) : -1], self._cache)
        taps = in_all_layers("attn.hook_pattern", self._engine.model.config.n_layers)
        acts = self._engine.model.forward(torch.tensor([ids[-1:]]), self._cache, taps).acts
        self._held = ids
        return float(sum(float(acts[name][0, :, -1][:, places].sum(-1).mean()) for name in taps) / len(taps))

    def _read(self, ids: list[int]) -> torch.Tensor:
        """Logits [d_vocab] after `ids`; the cache holds them afterwards."""
        common = self._rewind(ids)
        logits = last_logits(self._engine.model, ids[common:], self._cache)
        self._held = ids
        return logits

    def _rewind(self, ids: list[int]) -> int:
        """Forgets what `ids` does not begin with, and always its last token; returns how much is still held."""
        pairs = zip(self._held, ids[:-1], strict=False)
        common = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(self._held), len(ids) - 1))
        self._held = ids[:common]
        self._cache.truncate(common)
        return common
