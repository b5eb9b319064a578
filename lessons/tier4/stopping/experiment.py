"""Follows the end token through an answer: how likely it is at each step, what it depends on, and what happens when it
is forbidden."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Heatmap
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.numbers import odds, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier4.stopping import pictures
from llm_holes.lessons.tier4.stopping.requests import boundaries, number_in, p_end, variants, without_number

TOP = 6
FAINT = 0.001
"""A smaller probability is said as odds."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    new_tokens: int = p["max_new_tokens"]
    prompt = _prompt(engine, p, p["text"], new_tokens)
    writer = without_number(engine, prompt, p["text"]) if p["hide_number"] else engine
    bias = -math.inf if p["ban_end"] else p["end_bias"]
    limits = Limits(new_tokens, stop_strings=(p["stop_string"].replace("\\n", "\n"),), top=TOP)
    report, natural = Report(), list[Step]()
    for step in writer.generate(prompt, _params(engine, p, bias), limits):
        natural.append(step)
        report.show(the_answer=pictures.strip(engine, natural))
        report.measure(_answer(engine, natural))
        report.say(_caption(engine, natural))
        yield report.frame(len(natural) / (2 * new_tokens))
    written = [step.token for step in natural if step.token not in engine.tokenizer.eos_ids]
    after = list[Step]()
    if natural[-1].stop_reason == "end token":
        banned, left = _params(engine, p, -math.inf), Limits(new_tokens - len(written), top=TOP)
        for step in writer.generate(prompt + written, banned, left):
            after.append(step)
            report.show(
                the_answer=pictures.strip(engine, natural), if_it_may_not_stop=pictures.longer(engine, natural, after)
            )
            yield report.frame(0.5 + len(after) / (3 * new_tokens))
    read = engine.tokenizer.encode(p["text_b"].replace("\\n", "\n")) or written
    ends = boundaries(engine, read) or [0]
    report.measure(_request(engine, p, read, ends), tokens_after_ban=len(after))
    report.show(
        number_asked_for=_asked(engine, p, read, ends),
        the_answer=pictures.strip(engine, natural),
        rank_race=pictures.race(writer, prompt, natural, boundaries(engine, written)),
        if_it_may_not_stop=pictures.longer(engine, natural, after),
        last_step=pictures.last_step(engine, natural[-1]),
    )
    yield report.frame()


def _prompt(engine: Engine, p: Mapping[str, Any], message: str, more: int) -> list[int]:
    return engine.chat(message, more) if p["chat_template"] else engine.encode(message, more)


def _params(engine: Engine, p: Mapping[str, Any], bias: float) -> SamplingParams:
    logit_bias = dict.fromkeys(engine.tokenizer.eos_ids, bias) if bias else {}
    return SamplingParams(temperature=p["temperature"], seed=p["seed"], logit_bias=logit_bias)


def _asked(engine: Engine, p: Mapping[str, Any], read: Sequence[int], ends: Sequence[int]) -> Heatmap:
    """P(end) at each end of the answer read, under each of the requests."""
    rows: dict[str, list[float]] = {}
    for number, message in variants(p["text"]).items():
        prompt = _prompt(engine, p, message, len(read))
        model = without_number(engine, prompt, message) if p["hide_number"] else engine
        found = p_end(model, prompt, read)
        rows[number] = [found[end] for end in ends]
    return pictures.by_request(engine, rows, read, ends, number_in(p["text"]), p["hide_number"])


def _request(engine: Engine, p: Mapping[str, Any], read: Sequence[int], ends: Sequence[int]) -> dict[str, Any]:
    """Where in the answer read the end is likeliest, and how likely it is there without the number."""
    prompt = _prompt(engine, p, p["text"], len(read))
    seen = p_end(engine, prompt, read)
    peak = max(range(len(ends)), key=lambda i: seen[ends[i]])
    number, blinded = number_in(p["text"]), p_end(without_number(engine, prompt, p["text"]), prompt, read)
    return {
        "p_end_per_boundary": [seen[end] for end in ends],
        "boundary_of_peak": peak + 1,
        "p_end_at_peak": seen[ends[peak]],
        "p_end_at_peak_blinded": blinded[ends[peak]],
        "hidden": f"the number {spelt(number)}" if number else "the message",
    }


def _answer(engine: Engine, natural: Sequence[Step]) -> dict[str, Any]:
    last, before = natural[-1], natural[-2] if len(natural) > 1 else natural[-1]
    return {
        "answer": "".join(step.text for step in natural),
        "stop_reason": last.stop_reason or "running",
        "end_token": engine.tokenizer.end_token or "end",
        "p_end_per_step": [step.p_end for step in natural],
        "end_rank_per_step": [pictures.rank(step) for step in natural],
        "p_end_at_stop": last.p_end,
        "p_end_before_stop": before.p_end,
        "end_rank_before_stop": pictures.rank(before),
        "tokens_generated": len(natural),
    }


def _chance(p: float) -> str:
    return odds(p) if 0 < p < FAINT else percent(p)


def _caption(engine: Engine, steps: Sequence[Step]) -> str:
    last, end = steps[-1], engine.tokenizer.end_token or "end"
    if last.stop_reason is None:
        return f"Token {len(steps)}: P({end}) is {_chance(last.p_end)}, rank {pictures.rank(last):,}."
    if last.stop_reason == "end token" and len(steps) == 1:
        return f"Stopped at once: P({end}) is {_chance(last.p_end)} before anything is written."
    if last.stop_reason == "end token":
        before = steps[-2]
        return (
            f"Stopped by itself after {plural(len(steps), 'token')}: P({end}) went from {_chance(before.p_end)} to "
            f"{_chance(last.p_end)} in one step."
        )
    written, p_end = plural(len(steps), "token"), _chance(last.p_end)
    return f"Stopped from outside after {written}: {last.stop_reason}; P({end}) was {p_end}."
