"""A call held in its grammar: at each place what the model would have liked, and which of that was ruled out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Heatmap
from llm_holes.engine.generation.grammar import Constraint
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.call_grammar import call_grammar
from llm_holes.engine.harness.loop import Harness
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.speculative_verification import verify
from llm_holes.engine.harness.write import write
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt

FAVOURITES = 7
RULED_OUT = "×"


@dataclass(frozen=True, slots=True)
class Liked:
    """A token the model thought likely at one place, whether the grammar allowed it there and whether it was taken."""

    token: int
    p: float
    allowed: bool
    taken: bool


@dataclass(frozen=True, slots=True)
class HeldCall:
    """The tokens of a call, and for each the model's favourites at its place."""

    ids: tuple[int, ...]
    places: tuple[tuple[Liked, ...], ...]


def held_call(model: PrefixCachedModel, harness: Harness, prompt: Sequence[int]) -> HeldCall:
    """The likeliest call that the grammar allows. `model` knows its logits along this call from now on. Raises
    Cancelled."""
    grammar = call_grammar(harness.tools)
    room = min(harness.bounds.tokens, harness.bounds.context - len(prompt))
    held = Constraint(harness.tokenizer, grammar, harness.d_vocab)
    written = write(model, harness.tokenizer, prompt, SamplingParams(), room, held)
    call = [one.token for one in written if one.token not in harness.tokenizer.eos_ids]
    verify(model, prompt, call)
    follow = Constraint(harness.tokenizer, grammar, harness.d_vocab)
    places: list[tuple[Liked, ...]] = []
    for n, token in enumerate(call):
        allowed = follow.allowed()
        best = model.logits([*prompt, *call[:n]]).softmax(-1).topk(FAVOURITES)
        ranked = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        places.append(tuple(Liked(other, p, bool(allowed[other]), other == token) for other, p in ranked))
        follow.feed(token)
    return HeldCall(tuple(call), tuple(places))


def held_map(engine: Engine, held: HeldCall) -> Heatmap:
    """Below each token of the call the model's favourites; shaded is what the grammar allows."""
    ranks = range(FAVOURITES)
    cells = [place[rank] for rank in ranks for place in held.places]
    return Heatmap(
        f"what the model would write there; {RULED_OUT}: ruled out",
        Array.of([[place[n].p if place[n].allowed else math.nan for place in held.places] for n in ranks]),
        row_label="favourite",
        column_label="token of the call",
        column_names=tuple(map(engine.token_text, held.ids)),
        unit="probability",
        texts=tuple(("" if one.allowed else RULED_OUT) + engine.token_text(one.token) for one in cells),
        details=tuple(_detail(engine, one) for one in cells),
        first=1,
    )


def _detail(engine: Engine, one: Liked) -> str:
    fate = "taken" if one.taken else "allowed" if one.allowed else "ruled out"
    return f"{spelt(engine.token_text(one.token))} {percent(one.p)}, {fate}"
