"""What can be said once the answer is there: beside its own way, in tokens and times, and with one more message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_holes.engine.cost import cost
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Cost
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.measure import Timing, timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.counts import element_bytes, weight_bytes
from llm_holes.lessons.tier0.what_happens.around import machine_around
from llm_holes.lessons.tier0.what_happens.branch import branch_of, own_way
from llm_holes.lessons.tier0.what_happens.conversation import EARLIER, YOURS, by_source, made_of, next_turn
from llm_holes.lessons.tier0.what_happens.trace import MessageTrace

NEXT_TOKENS = 16
"""So much of the next answer is written."""


def compare(engine: Engine, trace: MessageTrace, limit: int) -> None:
    """If the learner chose a token or the first words, the answer as it would have been."""
    start = trace.prompt[: len(trace.prompt) - len(trace.forced)]
    given = trace.forced + [choice.token for choice in trace.choices]
    own, answer = given, trace.answer
    if trace.forced or any(choice.rank > 1 for choice in trace.choices):
        own, answer = own_way(engine, start, limit + len(trace.forced))
    branch = trace.branch = branch_of(engine, own, answer, given)
    surest = max(trace.choices, key=lambda choice: choice.p)
    trace.report.measure(
        parted_at=branch.at,
        own_token=spelt(branch.own),
        taken_token=spelt(branch.taken),
        own_word_returns=branch.returns,
        way="its own" if not branch.at else "came back" if branch.returns else "went on",
        own_answer=branch.answer,
        p_first=trace.choices[0].p,
        first_token=spelt(engine.token_text(trace.choices[0].token)),
        p_surest=surest.p,
        surest_token=spelt(engine.token_text(surest.token)),
    )


def sum_up(engine: Engine, trace: MessageTrace, reason: str, cache: ContiguousCache) -> None:
    passes = [choice.ms for choice in trace.choices[1:]]
    if not passes:  # it ended at once; what one more token would have cost
        passes = [timed(last_logits, engine.model, [trace.choices[0].token], cache)[1]]
    decode = Timing.of(passes)
    shown = len(trace.choices) - (reason == "end token")
    model_ms = sum(choice.ms for choice in trace.choices)
    before = trace.report.measured
    around_ms = before["template_ms"] + before["tokenize_ms"]
    trace.report.measure(
        output_tokens=len(trace.choices),
        tokens_nobody_sees=len(trace.choices) - shown,
        tokens_read=shown,
        decode_ms_per_token=decode.median,
        decode_ms_spread=[decode.fastest, decode.slowest],
        model_share_of_time=model_ms / (model_ms + around_ms),
        stop_reason=reason,
        answer=trace.answer,
    )
    trace.report.cost = _cost(engine, decode.fastest)
    passes_made = plural(len(trace.choices), "pass", "passes")
    trace.report.say(f"{passes_made}, {plural(shown, 'token')} to read; stopped by: {reason}.")
    if trace.branch.at:
        taken, own = spelt(trace.branch.taken), spelt(trace.branch.own)
        trace.report.say_also(f"At token {trace.branch.at} it was {taken} in place of {own}.")


def _cost(engine: Engine, ms: float) -> Cost:
    """Of one pass for one token: all matrices are read, each number for one multiplication and one addition."""
    nbytes = weight_bytes(engine)
    return cost(engine, "one token", ms, nbytes, 2 * nbytes // element_bytes(engine), view="the answer")


def next_message(engine: Engine, trace: MessageTrace, p: Mapping[str, Any], cache: ContiguousCache) -> None:
    """The conversation sent again with one more message, and answered from what the cache has kept of it."""
    if p["next_text"]:
        tokenizer = engine.tokenizer
        if trace.report.measured["template_used"]:
            talk = [("user", p["text"]), ("assistant", trace.answer), ("user", p["next_text"])]
            messages = [{"role": role, "content": content} for role, content in talk]
            said, ids = made_of(tokenizer, messages), tokenizer.chat_ids(messages)
        else:
            said = [(f"{p['text']}{trace.answer}\n", EARLIER), (p["next_text"], YOURS)]
            ids = tokenizer.encode("".join(text for text, _ in said))
        held = trace.prompt + [choice.token for choice in trace.choices[:-1]]
        trace.following = next_turn(engine, cache, held, said, ids, NEXT_TOKENS)
    following, sources = trace.following, by_source(trace.parts)
    shown = [choice.token for choice in trace.choices if choice.token not in engine.tokenizer.eos_ids]
    written = b"".join(map(engine.tokenizer.token_bytes, trace.forced + shown))
    model_ms = sum(choice.ms for choice in trace.choices)
    trace.around = machine_around(sources, len(trace.choices), model_ms, written, trace.answer, following)
    trace.report.measure(
        next_prompt_tokens=len(following.ids),
        next_kept_tokens=following.kept,
        next_new_tokens=len(following.ids) - following.kept,
        next_answer=following.answer,
    )
