"""What can be read off a state: for each layer a matrix is fitted that should tell a token from it (a linear probe by
ridge regression, in closed form; Alain & Bengio 2016)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.interpret.logit_lens import residual_stream
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.words import embedding_table

TOKENS = 540
TWICE, SHUFFLED = "read twice", "words shuffled"
RIDGE = 0.3
"""How much the reader is kept from learning its examples by heart, in units of their own size."""
ASKED = {"the token itself": 0, "its left neighbour": -1, "the next token": 1}


@dataclass(frozen=True)
class Readings:
    """The share of tokens read off rightly, for each of `ASKED` one number per state; `baseline` is what always naming
    the commonest token gets; `examples` were learnt from, `tests` were asked."""

    right: dict[str, list[float]]
    baseline: float
    examples: int
    tests: int


def readings(engine: Engine, how: str) -> Readings:
    """A reader learns on the first two thirds of the passage and is tested on the rest."""
    times = 2 if how == TWICE else 1
    ids = passage_ids(engine, min(TOKENS, engine.model.config.n_ctx // times))
    if how == SHUFFLED:
        order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
        ids = [ids[n] for n in order.tolist()]
    stream = residual_stream(engine.model, ids * times, len(ids))
    # the first token of a text is like no other, and both ends lack a neighbour
    places = torch.arange(1, len(ids) - 1)
    learnt, tested = places[: len(places) * 2 // 3], places[len(places) * 2 // 3 :]
    known = torch.tensor(ids)
    table = embedding_table(engine)
    right: dict[str, list[float]] = {}
    names = torch.tensor(sorted(set(ids)))
    wanted = torch.cat([table[known[learnt + step]] for step in ASKED.values()], dim=1)
    guessed = fitted(stream[:, learnt], wanted, stream[:, tested]).chunk(len(ASKED), dim=2)
    for (asked, step), guesses in zip(ASKED.items(), guessed, strict=True):
        mean = table[known[learnt + step]].mean(0)
        rows = torch.nn.functional.normalize(table[names] - mean, dim=1)
        nearest = names[((guesses - mean) @ rows.T).argmax(-1)]
        right[asked] = (nearest == known[tested + step]).float().mean(1).tolist()
    commonest = Counter(known[learnt].tolist()).most_common(1)[0][0]
    baseline = float((known[tested] == commonest).float().mean())
    return Readings(right, baseline, len(learnt), len(tested))


def fitted(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    """Ridge regression of y [example, out] on x [state, example, d], one for each state, at new [state, test, d]:
    [state, test, out]. Every channel counts alike, whatever its size."""
    mean, spread = x.mean(1, keepdim=True), x.std(1, keepdim=True).clamp_min(1e-6)
    x, new = (x - mean) / spread, (new - mean) / spread
    inner = x @ x.mT + RIDGE * x.shape[-1] * torch.eye(x.shape[1])
    centre = y.mean(0)
    weights = torch.cholesky_solve((y - centre).expand(len(x), -1, -1), torch.linalg.cholesky(inner))
    found: Tensor = new @ x.mT @ weights + centre
    return found


def best(values: Sequence[float]) -> int:
    """After how many layers most was read off rightly."""
    return max(range(len(values)), key=values.__getitem__)
