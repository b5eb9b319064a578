"""How many products a text costs: those of queries with keys, which grow with its square, beside all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Cost, Curve, Series
from llm_holes.engine.measure import timed
from llm_holes.engine.numbers import plural
from llm_holes.lessons.shared.counts import weight_bytes

POINTS = 40
REPEATS, ENOUGH_MS = 5, 1500.0
BILLION = 1e9


def pairs(tokens: float) -> float:
    """Tokens with those up to their own place: half of all pairs, as the mask leaves them."""
    return tokens * (tokens + 1) / 2


def products(engine: Engine, tokens: int) -> dict[str, Any]:
    """Dot products of queries with keys in a pass over so many tokens, with and without the mask; their share of the
    multiplications of the pass, masked ones left out; the length from which on they are more than the matrices'."""
    config = engine.model.config
    heads = config.n_heads * config.n_layers
    scores, other = pairs(tokens) * heads * config.d_head, elsewhere(engine)
    return {
        "tokens": tokens,
        "query_key_products": int(pairs(tokens)) * heads,
        "query_key_products_unmasked": tokens**2 * heads,
        "query_key_share": scores / (2 * scores + other(tokens)),
        "query_key_equal_tokens": round(2 * (other(1) - other(0)) / (heads * config.d_head)),
    }


def elsewhere(engine: Engine) -> Callable[[float], float]:
    """Multiplications with the matrices of the layers for each token, and with the output table for the last."""
    config = engine.model.config
    head = config.d_vocab * config.d_model
    layers = sum(matrix.numel() for matrix in _matrices(engine)) - head
    return lambda tokens: layers * tokens + head


def growing(engine: Engine, tokens: int) -> Curve:
    """Multiplications by the length of the text, up to what the model can read."""
    config = engine.model.config
    most = max(config.n_ctx, tokens)
    lengths = [most * n / POINTS for n in range(1, POINTS + 1)]
    each = config.n_heads * config.n_layers * config.d_head
    other = elsewhere(engine)
    lines = (
        ("all pairs", [each * n * n for n in lengths]),
        ("earlier only", [each * pairs(n) for n in lengths]),
        ("matrices", [other(n) for n in lengths]),
    )
    series = [Series(name, tuple(lengths), tuple(y / BILLION for y in line)) for name, line in lines]
    top = max(max(line) for _, line in lines) / BILLION
    here = Series(f"here: {plural(tokens, 'token')}", (float(tokens), float(tokens)), (0.0, top))
    return Curve("query × key, and all matrices", (*series, here), "tokens of the text", "billion multiplications")


def cost_of_a_pass(engine: Engine, ids: list[int]) -> tuple[dict[str, Any], Cost]:
    """The pass over the text: its operations counted while it runs, its fastest time of a few."""
    batch = torch.tensor([ids])
    with FlopCounterMode(display=False) as counter:
        engine.model.forward(batch, logits_to_keep=1)
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < ENOUGH_MS:
        times.append(timed(engine.model.forward, batch, logits_to_keep=1)[1])
    flops = int(counter.get_total_flops())
    what = f"reading {plural(len(ids), 'token')}"
    return {"flops_counted": flops, "pass_ms": min(times)}, cost(
        engine, what, min(times), weight_bytes(engine), flops, view="products"
    )


def _matrices(engine: Engine) -> list[Tensor]:
    """What a pass reads whole; of an embedding table that is not also the output it reads rows."""
    table = "" if engine.model.config.tied_embeddings else "model.embed_tokens.weight"
    return [w for name, w in engine.model.weights.items() if w.dim() == 2 and name != table]
