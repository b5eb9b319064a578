"""Follows the end token through an answer: how likely it is at each step, and what happens when it is forbidden."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Curve, Diff, Frame, Tokens, View, series
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.numbers import odds, percent, plural

TOP = 6
FAINT = 0.001
"""A smaller probability is said as odds."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    new_tokens: int = p["max_new_tokens"]
    prompt = engine.chat(p["text"], new_tokens) if p["chat_template"] else engine.encode(p["text"], new_tokens)
    bias = -math.inf if p["ban_end"] else p["end_bias"]
    limits = Limits(new_tokens, stop_strings=(p["stop_string"].replace("\\n", "\n"),), top=TOP)
    natural: list[Step] = []
    for step in engine.generate(prompt, _params(engine, p, bias), limits):
        natural.append(step)
        yield _frame(engine, natural, [], len(natural) / (2 * new_tokens))
    written = [step.token for step in natural if step.token not in engine.tokenizer.eos_ids]
    after: list[Step] = []
    if natural[-1].stop_reason == "end token":
        banned = _params(engine, p, -math.inf)
        for step in engine.generate(prompt + written, banned, Limits(new_tokens - len(written), top=TOP)):
            after.append(step)
            yield _frame(engine, natural, after, 0.5 + len(after) / (2 * new_tokens))
    yield _frame(engine, natural, after, None)


def _params(engine: Engine, p: Mapping[str, Any], bias: float) -> SamplingParams:
    logit_bias = dict.fromkeys(engine.tokenizer.eos_ids, bias) if bias else {}
    return SamplingParams(temperature=p["temperature"], seed=p["seed"], logit_bias=logit_bias)


def _frame(engine: Engine, natural: Sequence[Step], after: Sequence[Step], progress: float | None) -> Frame:
    last, end = natural[-1], engine.tokenizer.end_token or "end"
    text = "".join(step.text for step in natural)
    views: list[View] = [
        _strip(engine, f"the answer, shaded by P({end})", natural),
        Curve(
            f"P({end}) before each token, on a log scale",
            (series("P(end)", range(1, len(natural) + 1), [max(step.p_end, 1e-12) for step in natural]),),
            x_label="token",
            y_label="P(end)",
            log_y=True,
            y_range=(0, 1),
        ),
        Bars(
            "the last step: the likeliest tokens",
            tuple(engine.token_text(token) for token, _ in last.top),
            tuple(p for _, p in last.top),
            "probability",
            marked=next((i for i, (token, _) in enumerate(last.top) if token in engine.tokenizer.eos_ids), None),
            range=(0, 1),
        ),
    ]
    if after:
        longer = text + "".join(step.text for step in after)
        views.insert(1, Diff(f"with {end} forbidden it goes on", text, longer, "it stopped here", "forbidden to stop"))
    return Frame(
        caption=_caption(end, natural),
        views=tuple(views),
        measured={
            "answer": text,
            "stop_reason": last.stop_reason or "running",
            "end_token": end,
            "p_end_per_step": [step.p_end for step in natural],
            "end_rank_per_step": [rank(step) for step in natural],
            "p_end_at_stop": last.p_end,
            "p_end_before_stop": natural[-2].p_end if len(natural) > 1 else last.p_end,
            "end_rank_before_stop": rank(natural[-2] if len(natural) > 1 else last),
            "tokens_generated": len(natural),
            "tokens_after_ban": len(after),
        },
        progress=progress,
    )


def rank(step: Step) -> int:
    """The end token's place among all tokens, the likeliest at 1."""
    return step.end_rank + 1


def _chance(p: float) -> str:
    return odds(p) if 0 < p < FAINT else percent(p)


def _caption(end: str, steps: Sequence[Step]) -> str:
    last = steps[-1]
    if last.stop_reason is None:
        return f"Token {len(steps)}: P({end}) is {_chance(last.p_end)}, rank {rank(last):,}."
    if last.stop_reason == "end token" and len(steps) == 1:
        return f"Stopped at once: P({end}) is {_chance(last.p_end)} before anything is written."
    if last.stop_reason == "end token":
        before = steps[-2]
        return (
            f"Stopped by itself after {plural(len(steps), 'token')}: P({end}) went from {_chance(before.p_end)} (rank "
            f"{rank(before):,}) to {_chance(last.p_end)} in one step."
        )
    written, p_end = plural(len(steps), "token"), _chance(last.p_end)
    return f"Stopped from outside after {written}: {last.stop_reason}; P({end}) was {p_end}."


def _strip(engine: Engine, title: str, steps: Sequence[Step]) -> Tokens:
    """Each token with what the end token had in its place."""
    notes = [f"P(end) here {_chance(step.p_end)}, rank {rank(step):,}; chosen with {percent(step.p)}" for step in steps]
    tokens = engine.tokens([step.token for step in steps], notes)
    return Tokens(title, tokens, tuple(step.p_end for step in steps), "P(end)")
