"""Several continuations of one beginning, without reading the beginning again for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from llm_holes.engine.generation.generate import PREFILL_CHUNK
from llm_holes.engine.model.cache import ContiguousCache, side_by_side
from llm_holes.engine.model.decoder import Decoder

BATCH = 16
Ids = Sequence[int]
Start = ContiguousCache | Sequence[ContiguousCache]
"""What was read before: the same for all texts, or one for each."""


@dataclass(frozen=True, slots=True)
class Scored:
    """How a wanted text fares in one place: its probability `p`, whether each of its tokens was the likeliest, and the
    likeliest token after it."""

    p: float
    chosen: bool
    after: int


def prefill(model: Decoder, ids: Ids) -> ContiguousCache:
    """A cache that holds `ids`."""
    cache = ContiguousCache(model.config, len(ids) + 1)
    for start in range(0, len(ids), PREFILL_CHUNK):
        model.forward(torch.tensor([list(ids[start : start + PREFILL_CHUNK])]), cache, logits_to_keep=1)
    return cache


def common(texts: Sequence[Ids]) -> int:
    """How many tokens all texts have in common at their beginning, leaving each at least one of its own."""
    shortest = min(map(len, texts))
    return next((n for n in range(shortest - 1) if any(t[n] != texts[0][n] for t in texts)), shortest - 1)


def read(model: Decoder, start: Start, texts: Sequence[Ids]) -> list[ContiguousCache]:
    """For each text a cache that holds what was read before, and the text. `start` is left as it was."""
    starts, found = _each(start, texts), dict[int, ContiguousCache]()
    for rows in _alike([(s.length, len(text)) for s, text in zip(starts, texts, strict=True)]):
        cache = side_by_side([starts[row] for row in rows], len(texts[rows[0]]))
        model.forward(torch.tensor([list(texts[row]) for row in rows]), cache, logits_to_keep=1)
        found |= zip(rows, cache.rows(), strict=True)
    return [found[row] for row in range(len(texts))]


def score_continuations(model: Decoder, start: Start, texts: Sequence[Ids], wanted: Sequence[Ids]) -> list[Scored]:
    """For each text, read after `start`, how the wanted ids would follow it. `start` is left as it was."""
    starts, found = _each(start, texts), dict[int, Scored]()
    for rows in _alike([(s.length, len(t), len(w)) for s, t, w in zip(starts, texts, wanted, strict=True)]):
        ids = torch.tensor([[*texts[row], *wanted[row]] for row in rows])
        count = len(wanted[rows[0]])
        cache = side_by_side([starts[row] for row in rows], ids.shape[1])
        logits = model.forward(ids, cache, logits_to_keep=count + 1).logits
        best = logits.argmax(-1)
        right = ids[:, ids.shape[1] - count :]
        p = logits[:, :-1].log_softmax(-1).gather(-1, right[..., None]).sum((1, 2)).exp()
        for n, row in enumerate(rows):
            found[row] = Scored(float(p[n]), bool((best[n, :-1] == right[n]).all()), int(best[n, -1]))
    return [found[row] for row in range(len(texts))]


def greedy_continuations(
    model: Decoder, start: Start, texts: Sequence[Ids], limit: int, ends: Callable[[int], bool]
) -> list[list[int]]:
    """What the model writes after each text, taking the likeliest token, up to the one that `ends` or to `limit`."""
    starts = _each(start, texts)
    found: list[list[int]] = [[] for _ in texts]
    for rows in _alike([(s.length, len(text)) for s, text in zip(starts, texts, strict=True)]):
        cache = side_by_side([starts[row] for row in rows], len(texts[rows[0]]) + limit)
        pending = torch.tensor([list(texts[row]) for row in rows])
        running = set(rows)
        for _ in range(limit):
            best = model.forward(pending, cache, logits_to_keep=1).logits[:, -1].argmax(-1)
            running -= {row for n, row in enumerate(rows) if ends(int(best[n]))}
            for n, row in enumerate(rows):
                if row in running:
                    found[row].append(int(best[n]))
            if not running:
                break
            pending = best[:, None]
    return found


def _each(start: Start, texts: Sequence[Ids]) -> Sequence[ContiguousCache]:
    return [start] * len(texts) if isinstance(start, ContiguousCache) else start


def _alike(keys: Sequence[object]) -> Iterator[list[int]]:
    """The places of equal keys, a batch at a time: what has the same length can go through the model together."""
    groups: dict[object, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        groups[key].append(place)
    for places in groups.values():
        for start in range(0, len(places), BATCH):
            yield places[start : start + BATCH]
