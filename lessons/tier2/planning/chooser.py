"""Which of a few steps a model takes next: the probability of each, where it may write nothing but one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import in_all_layers
from llm_holes.lessons.tier2.planning.helps import Part


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
            found = self._shared_out(ids, list(range(len(self.options))))
            self._known[key] = [found[option] for option in range(len(self.options))]
        return self._known[key]

    def forced(self, choice: str) -> int:
        """How many tokens of an option were no choice: after those before them only one token was allowed."""
        ending = self._endings[self.options.index(choice)]
        return sum(
            len({other[at] for other in self._endings if other[:at] == ending[:at]}) == 1 for at in range(len(ending))
        )

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

    def _shared_out(self, ids: list[int], among: list[int], at: int = 0) -> dict[int, float]:
        """The shares of the options `among`, which have the same first `at` tokens, after `ids` and those tokens."""
        if len(among) == 1:
            return {among[0]: 1.0}
        groups: dict[int, list[int]] = defaultdict(list)
        for option in among:
            groups[self._endings[option][at]].append(option)
        if len(groups) == 1:
            return self._shared_out(ids, among, at + 1)
        logits = self._read(ids + self._endings[among[0]][:at])
        chances = logits[list(groups)].softmax(-1).tolist()
        found: dict[int, float] = {}
        for p, group in zip(chances, groups.values(), strict=True):
            found |= {option: p * share for option, share in self._shared_out(ids, group, at + 1).items()}
        return found

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
