"""One conversation through a real harness, or without one; then the first answer again with many seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import structs

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Turn
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.calls import Call
from llm_holes.engine.harness.drafting_model import DraftingModel
from llm_holes.engine.harness.events import Event, ToolReturned
from llm_holes.engine.harness.loop import Bounds, Harness
from llm_holes.engine.harness.prompt import ids_of, pieces
from llm_holes.engine.measure import timed
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.harness_views import Record
from llm_holes.lessons.shared.trials import trial
from llm_holes.lessons.tier1.tool_calls.conversation import FREE, HELD, Conversation, measured
from llm_holes.lessons.tier1.tool_calls.given import BY_HAND, messages_of, tools_of
from llm_holes.lessons.tier1.tool_calls.held_call import held_call, held_map
from llm_holes.lessons.tier1.tool_calls.nobody_steps_in import turns_of, written_on
from llm_holes.lessons.tier1.tool_calls.views import Readings, trials_table

NOBODY = "nobody stopped it; we looked away"


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    engine.tokenizer.needs_chat()
    model = DraftingModel(engine.model)
    harness = _harness(engine, model, p)
    messages = messages_of(harness.tools, p)
    prompt = engine.fits(ids_of(pieces(engine.tokenizer, messages)), p["max_new_tokens"])
    talk = Conversation(Record(engine, "put in the examples, written in advance"), Readings(engine))
    events = harness.converse(messages)
    _add(talk, next(events))
    yield _frame(engine, talk, p, 0.0)
    talk.held = held_call(model, harness, prompt)
    if p["steps_in"]:
        yield from _with_harness(engine, talk, events, p)
    else:
        yield from _alone(engine, talk, harness, prompt, p)
    for mode, found in talk.trials.items():
        for n in range(p["trials"]):
            params = SamplingParams(temperature=p["temperature"], seed=p["seed"] + n)
            found.append(trial(harness, prompt, params, mode == HELD))
            yield _frame(engine, talk, p, 0.5 + 0.5 * sum(map(len, talk.trials.values())) / (2 * p["trials"] + 1))
    yield _frame(engine, talk, p, None)


def _harness(engine: Engine, model: DraftingModel, p: Mapping[str, Any]) -> Harness:
    bounds = Bounds(engine.model.config.n_ctx, steps=p["steps"], answer_tokens=p["max_new_tokens"])
    forced = 1 if p["constrained"] else 0
    return Harness(model, engine.tokenizer, engine.info.d_vocab, tools_of(p), bounds, forced_calls=forced)


def _with_harness(engine: Engine, talk: Conversation, events: Iterator[Event], p: Mapping[str, Any]) -> Iterator[Frame]:
    while True:
        event, ms = timed(next, events, None)
        if event is None:
            return
        _add(talk, event)
        if isinstance(event, ToolReturned) and not event.result.refused:
            if p["result"]:
                talk.record.turns[-1] = structs.replace(talk.record.turns[-1], what=BY_HAND)
            else:
                talk.tool_ms += ms
        yield _frame(engine, talk, p, 0.5)


def _add(talk: Conversation, event: Event) -> None:
    talk.record.add(event)
    talk.readings.add(event)


def _alone(
    engine: Engine, talk: Conversation, harness: Harness, prompt: Sequence[int], p: Mapping[str, Any]
) -> Iterator[Frame]:
    """The same prompt, and nobody who reads along."""
    given = list(talk.record.turns)
    for parts in written_on(harness, prompt, harness.bounds.context - len(prompt)):
        talk.alone = parts
        talk.record.turns = [*given, *turns_of(engine, parts)]
        talk.record.written = sum(len(part.ids) for part in parts)
        yield _frame(engine, talk, p, 0.4)
    talk.record.ended = NOBODY
    talk.record.turns.append(Turn("software", NOBODY))


def _frame(engine: Engine, talk: Conversation, p: Mapping[str, Any], progress: float | None) -> Frame:
    talk.report.show(
        what_happened=talk.record.transcript("what happened, token by token"),
        what_is_read=talk.readings.view(),
        first_answer_again=trials_table(talk.trials, p["temperature"], p["trials"]),
        held_in_the_grammar=held_map(engine, talk.held) if talk.held else None,
    )
    talk.report.say(_caption(talk, p["steps_in"], bool(p["result"])))
    talk.report.measure(measured(talk, HELD if p["constrained"] and p["steps_in"] else FREE))
    return talk.report.frame(progress)


def _caption(talk: Conversation, steps_in: bool, by_hand: bool) -> str:
    record = talk.record
    first = record.found[0] if record.found else None
    if not steps_in:
        return "No software reads along: whatever stands behind your message, the model wrote."
    if not record.found and record.ended:
        return "The model's answer was cut off before it was a call, so the software ran nothing."
    if not record.found:
        return "The model is writing; nothing runs while it does."
    if isinstance(first, Call) and record.results:
        result = spelt(record.results[0].text[:60])
        did = "ran no tool" if by_hand else f"ran {first.tool.name}"
        return f"The model wrote a call; the software {did} and pasted in {result}."
    return "The model wrote no valid call, so the software ran nothing."
