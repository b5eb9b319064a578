"""Follows the end token through an answer: how likely it is at each step, what it depends on, and what happens when it
is forbidden."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.numbers import odds, percent, plural
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier4.stopping import pictures
from llm_holes.lessons.tier4.stopping.endings import REPLACED, endings, what_ends_it
from llm_holes.lessons.tier4.stopping.reading import MATTERS, asked_for, both_ends, of_the_request, prompt_for
from llm_holes.lessons.tier4.stopping.requests import boundaries, without_number

TOP = 6
FAINT = 0.001
"""A smaller probability is said as odds."""
LONGEST = 400
"""Tokens of the message and of the answer to read, which are read in a dozen ways: more are left out."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    message = _end_of(engine, p["text"])
    cut, p = message != p["text"], {**p, "text": message}
    prompt = prompt_for(engine, p, p["text"], p["max_new_tokens"])
    writer = without_number(engine, prompt, p["text"]) if p["hide_number"] else engine
    report, natural, after = Report(), list[Step](), list[Step]()
    yield from _write(engine, writer, p, prompt, report, natural)
    written = [step.token for step in natural if step.token not in engine.tokenizer.eos_ids]
    if natural[-1].stop_reason == "end token":
        yield from _write_on(engine, writer, p, [*prompt, *written], report, natural, after)
    read = engine.tokenizer.encode(p["text_b"].replace("\\n", "\n"))[:LONGEST] or written
    ends = boundaries(engine, read) or [0]
    report.measure(of_the_request(engine, p, read, ends), tokens_after_ban=len(after), message_cut=cut)
    report.measure(_of_the_race(natural, boundaries(engine, written)))
    ways, both = both_ends(engine, p, read, ends, report.measured["boundary_of_peak"] - 1)
    report.measure(both)
    report.show(
        rank_race=pictures.race(writer, prompt, natural, boundaries(engine, written)),
        number_asked_for=asked_for(engine, p, read, ends),
        two_ends=ways,
        the_answer=pictures.strip(engine, natural),
        if_it_may_not_stop=pictures.longer(engine, natural, after),
    )
    yield report.frame(0.9)

    def write(held: Engine, limits: Limits) -> Iterator[Step]:
        return held.generate(prompt, _params(engine, p), limits)

    found = list(endings(writer, write, natural, len(prompt), _stop(p), p["context"]))
    report.measure(prompt_tokens=len(prompt), tokens_until_full=len(found[-1].steps), context_end=found[-1].reason)
    report.show_also(
        what_ends_it=what_ends_it(found, len(prompt)),
        last_step=pictures.last_step(engine, natural[-1]),
    )
    yield report.frame()


def _end_of(engine: Engine, message: str) -> str:
    """The message, of a very long one its end."""
    ids = engine.tokenizer.encode(message)
    return engine.tokenizer.decode(ids[-LONGEST:]).lstrip(REPLACED) if len(ids) > LONGEST else message


def _write(
    engine: Engine, writer: Engine, p: Mapping[str, Any], prompt: list[int], report: Report, natural: list[Step]
) -> Iterator[Frame]:
    """The answer as it is set, one frame a token; its steps go to `natural`."""
    limits = Limits(p["max_new_tokens"], stop_strings=(_stop(p),), top=TOP)
    for step in writer.generate(prompt, _params(engine, p), limits):
        natural.append(step)
        ends = boundaries(engine, [step.token for step in natural if step.token not in engine.tokenizer.eos_ids])
        report.show(
            rank_race=pictures.race(engine, prompt, natural, ends, rivals=0),
            the_answer=pictures.strip(engine, natural),
        )
        report.measure(_answer(engine, natural))
        report.say(_caption(engine, natural))
        yield report.frame(len(natural) / (2 * p["max_new_tokens"]))


def _write_on(
    engine: Engine,
    writer: Engine,
    p: Mapping[str, Any],
    written: list[int],
    report: Report,
    natural: Sequence[Step],
    after: list[Step],
) -> Iterator[Frame]:
    """What comes instead of the end, up to the limit; its steps go to `after`."""
    views, room = report.views, p["max_new_tokens"] - len(natural) + 1
    for step in writer.generate(written, _params(engine, {**p, "ban_end": True}), Limits(room, top=TOP)):
        after.append(step)
        report.show(*views, if_it_may_not_stop=pictures.longer(engine, natural, after))
        yield report.frame(0.5 + len(after) / (3 * p["max_new_tokens"]))


def _stop(p: Mapping[str, Any]) -> str:
    """The stop string, with its line breaks."""
    text: str = p["stop_string"]
    return text.replace("\\n", "\n")


def _params(engine: Engine, p: Mapping[str, Any]) -> SamplingParams:
    bias = -math.inf if p["ban_end"] else p["end_bias"]
    logit_bias = dict.fromkeys(engine.tokenizer.eos_ids, bias) if bias else {}
    return SamplingParams(temperature=p["temperature"], seed=p["seed"], logit_bias=logit_bias)


def _of_the_race(natural: Sequence[Step], ends: Sequence[int]) -> dict[str, Any]:
    """The end's typical rank where a line or sentence is over, and elsewhere."""
    found = [pictures.rank(step) for step in natural]
    over = [found[i] for i in ends if i < len(found)]
    inside = [rank for i, rank in enumerate(found) if i not in ends]
    if not over or not inside:
        return {"end_rank_at_ends": 0, "end_rank_inside": 0, "end_nearer_at_ends": False}
    at_ends, elsewhere = round(median(over)), round(median(inside))
    nearer = at_ends < MATTERS * elsewhere
    return {"end_rank_at_ends": at_ends, "end_rank_inside": elsewhere, "end_nearer_at_ends": nearer}


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
