"""What a piece of work costs on this machine: its time beside that of writing one token, what it reads, what it sums,
and which of the two the machine is waiting for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llm_holes.engine.device import DTYPES
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bound, Cost
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.machine import matmul_gflop_per_s, read_gb_per_s
from llm_holes.engine.measure import timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import duration

STEPS = 4
MOST_SECONDS = 120.0
"""What reading a text in a run may take."""
FEW = 256
"""Tokens that are always read: a larger model takes its time for every text."""
NEITHER = 4.0
"""A time this many times as long as both limits allow is spent on something else: calls, copies, Python."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The machine's two limits, bytes and operations per nanosecond, and the fastest step of this model, one token at
    the start of a text, in milliseconds."""

    gb_per_s: float
    gflop_per_s: float
    step_ms: float

    def bound(self, ms: float, nbytes: float, flops: float) -> Bound:
        reading, arithmetic = nbytes / self.gb_per_s / 1e6, flops / self.gflop_per_s / 1e6
        if ms > NEITHER * max(reading, arithmetic):
            return "neither"
        return "reading" if reading > arithmetic else "arithmetic"


_paces: dict[tuple[str, int], Pace] = {}


def pace(engine: Engine) -> Pace:
    """The limits are measured at the first call for a model, in about half a second, and kept; a step at each call, of
    which the fastest so far counts: another program may have been in the way. Raises Cancelled."""
    key = engine.info.sha256, engine.info.threads
    known, step = _paces.get(key), _step_ms(engine)
    if known is None:
        stopped = engine.model.is_cancelled
        _paces[key] = Pace(read_gb_per_s(stopped), matmul_gflop_per_s(stopped, DTYPES[engine.info.dtype]), step)
    elif step < known.step_ms:
        _paces[key] = replace(known, step_ms=step)
    return _paces[key]


def cost(engine: Engine, what: str, ms: float, nbytes: float, flops: float, view: str = "") -> Cost:
    """The cost line of `what`, a few words such as "one token": its milliseconds, the bytes it has to read and the
    operations it does, where an addition and a multiplication count one each. It is shown beside the view with the key
    `view`, or beside all."""
    at = pace(engine)
    return Cost(what, ms, nbytes, flops, ms / at.step_ms, at.bound(ms, nbytes, flops), view)


def refuse_long(engine: Engine, lesson: str, passes: float, tokens: int, beside: float = 0.0) -> None:
    """Raises InputError with the time if a lesson that reads its text so many times, and so many positions `beside` it,
    would take too long for one of so many tokens, on this machine and with this model. Raises Cancelled."""
    if tokens <= FEW:
        return
    speed, fixed = pace(engine).gflop_per_s * 1e9, 2 * beside * engine.info.parameters

    def seconds(tokens: int) -> float:
        return (passes * _pass_flops(engine, tokens) + fixed) / speed

    if seconds(tokens) <= MOST_SECONDS:
        return
    fits = next((n for n in range(tokens, FEW, -20) if seconds(n) <= MOST_SECONDS), FEW)
    raise InputError(
        f"“{lesson}” reads its text about {passes:.0f} times: {tokens:,} tokens would take about "
        f"{duration(1000 * seconds(tokens))} here",
        f"Shorten it to about {fits:,} tokens.",
    )


def _pass_flops(engine: Engine, tokens: int) -> float:
    """Two for each weight and token; of attention, which reads all tokens before, the half that no mask hides."""
    config, info = engine.model.config, engine.info
    return 2 * tokens * (info.parameters + config.n_layers * config.n_heads * config.d_head * tokens / 2)


def _step_ms(engine: Engine) -> float:
    cache = ContiguousCache(engine.model.config, STEPS + 1)
    last_logits(engine.model, [0], cache)
    return min(timed(last_logits, engine.model, [0], cache)[1] for _ in range(STEPS))
