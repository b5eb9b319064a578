"""What would be said after each layer at each token, and how the rank of the answer climbs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Heatmap, RankRace, Runner
from llm_holes.engine.interpret.logit_lens import Lens
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt

FAINT = 0.005
"""Probabilities below are not worth a shade."""
NEAR = 10
"""Ranks up to here count as near the top."""
EARLY = 100
"""An answer whose rank half-way is beyond this one climbs late."""


def grid(engine: Engine, ids: Sequence[int], seen: Lens) -> Heatmap:
    count, length = seen.p_final.shape
    texts, details = [], []
    for state in range(count):
        for position in range(length):
            tops = [engine.token_text(int(i)) for i in seen.tokens[state, position]]
            moved = zip(tops, seen.p[state, position].tolist(), seen.change[state, position].tolist(), strict=True)
            texts.append(tops[0])
            details.append(", ".join(f"{spelt(t)} {percent(p)} ({_gained(change)})" for t, p, change in moved))
    shown = tuple(engine.token_text(i) for i in ids[-length:])
    return Heatmap(
        "what would be said after each layer (the shade: probability of what is said in the end)",
        Array.of(seen.p_final.where(seen.p_final >= FAINT, 0).numpy()),
        row_label="after",
        column_label="token",
        row_names=("embedding", *(f"layer {n}" for n in range(count - 1))),
        column_names=shown,
        unit="probability",
        cursor=(count - 1, length - 1),
        texts=tuple(texts),
        details=tuple(details),
    )


def _gained(change: float) -> str:
    return f"{'+' * (change > 0)}{percent(change)}"


def climb(engine: Engine, seen: Lens) -> tuple[dict[str, Any], RankRace]:
    """The rank of the answer in the embedding and after each layer."""
    own = [int(rank) for rank in seen.rank_final[:, -1]]
    far = max((n for n, rank in enumerate(own) if rank > NEAR), default=-1)
    measured = {
        "answer_rank_per_layer": own,
        "answer_rank_halfway": own[len(own) // 2],
        "answer_top_ten_layer": far,
        "climbs_late": own[len(own) // 2] > EARLY,
        "vocabulary": engine.model.config.d_vocab,
    }
    name = spelt(engine.token_text(int(seen.tokens[-1, -1, 0])))
    title = f"the place of {name} after each layer"
    steps = ("table", *map(str, range(len(own) - 1)))
    return measured, RankRace(title, steps, (Runner(name, tuple(own)),), last=engine.model.config.d_vocab)
