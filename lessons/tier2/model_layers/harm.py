"""What leaving out a layer, or exchanging two, does to the predictions on the fixed passage."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Mark, Series, Tokens, series
from llm_holes.engine.interpret.ablation_sweep import Harm
from llm_holes.engine.measure import changed_share, kl_nats
from llm_holes.engine.numbers import plural
from llm_holes.engine.spelling import spelt

THIRDS = ("early", "middle", "late")


def each_in_turn(left_out: Sequence[Harm], swapped: Sequence[Harm], tokens: int) -> Curve:
    lines: list[Series] = [series("left out", range(len(left_out)), [harm.changed for harm in left_out])]
    if swapped:
        lines.append(series("changes places with the next", range(len(swapped)), [harm.changed for harm in swapped]))
    worst = max(range(len(left_out)), key=lambda n: left_out[n].kl)
    return Curve(
        f"next words that would be others ({plural(tokens, 'token')})",
        tuple(lines),
        y_label="share",
        y_range=(0, 1),
        marks=(Mark("the worst", worst, left_out[worst].changed),),
    )


def published(left_out: Sequence[Harm], swapped: Sequence[Harm]) -> dict[str, Any]:
    kls = [harm.kl for harm in left_out]
    ordered, layers = sorted(kls), len(kls)
    thirds = [left_out[layers * n // 3 : layers * (n + 1) // 3] or left_out for n in range(3)]
    by_third = {
        f"changed_{name}_of_100": round(100 * fmean(harm.changed for harm in third))
        for name, third in zip(THIRDS, thirds, strict=True)
    }
    return by_third | {
        "kl_per_skipped_layer": kls,
        "most_important_layer": kls.index(ordered[-1]),
        "least_important_layer": kls.index(ordered[0]),
        "kl_most_important": ordered[-1],
        "kl_median_layer": ordered[layers // 2],
        "changed_per_skipped_layer_share": [harm.changed for harm in left_out],
        "changed_per_swapped_layer_share": [harm.changed for harm in swapped],
        "swaps": len(swapped),
        "swaps_milder": sum(swap.changed < out.changed for swap, out in zip(swapped, left_out, strict=False)),
        "middle_is_spared": by_third["changed_middle_of_100"]
        < min(by_third[f"changed_{n}_of_100"] for n in ("early", "late")),
    }


@torch.no_grad()
def on_the_passage(engine: Engine, changed: Engine, fixed: Sequence[int], done: str) -> tuple[dict[str, Any], Tokens]:
    """Token by token, how likely the next one would be another."""
    intact, after = engine.logits(fixed), changed.logits(fixed)
    shares: Tensor = (intact.softmax(-1) - after.softmax(-1)).abs().sum(-1) / 2
    tops = [[spelt(engine.token_text(int(top))) for top in logits.argmax(-1)] for logits in (intact, after)]
    notes = [f"likeliest next {was} → {now}" for was, now in zip(*tops, strict=True)]
    share = changed_share(intact, after)
    measured = {
        "kl_changed": kl_nats(intact, after),
        "words_changed_share": share,
        "words_changed_of_100": round(100 * share),
    }
    title = f"{done}: after which tokens the next word would be another"
    return measured, Tokens(title, engine.tokens(fixed, notes), tuple(shares.clamp(0, 1).tolist()), "share of others")
