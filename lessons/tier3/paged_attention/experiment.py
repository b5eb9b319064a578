"""Serves a stream of real requests out of one memory in two ways, says how long that takes from passes that are timed
here, then decodes through a block table for real."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Frame, Table, Text, Timeline, Tokens, View, series
from llm_holes.engine.kvcache.scheduler import PagedAllocator, Request, Scheduler
from llm_holes.engine.measure import timed
from llm_holes.engine.numbers import count, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.architectures import requests_that_fit
from llm_holes.lessons.shared.pace import pause
from llm_holes.lessons.shared.report import Report, keyed
from llm_holes.lessons.tier3.paged_attention.batch_pace import Passes, batch_curve, in_time, passes, total_ms
from llm_holes.lessons.tier3.paged_attention.serving import (
    Course,
    Dialogue,
    Rooms,
    check_room,
    course_of,
    dialogues,
    paged_picture,
    stream,
)
from llm_holes.lessons.tier3.paged_attention.through_the_table import decoded

STRETCHES, BLOCKS = "in stretches", "in blocks"


@dataclass(frozen=True)
class Served:
    """Both schedulers after the whole stream, and what each did in each step."""

    requests: Sequence[Request]
    rooms: Rooms
    paged: Scheduler
    contiguous: Scheduler
    courses: Mapping[str, Course]
    steps_per_s: float

    @property
    def answer_tokens(self) -> int:
        return sum(len(answer) for request in self.requests for answer in request.answers)

    @property
    def typical_context(self) -> int:
        """Tokens behind a new one, on average: the prompt and half of the answer."""
        lengths = [len(r.prompt) + len(answer) // 2 for r in self.requests for answer in r.answers]
        return sum(lengths) // len(lengths)

    def at_once(self, way: str) -> int:
        """Texts in one pass, at most."""
        return max(self.courses[way].written)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    size = p["block_size"]
    positions = p["memory"] // size * size
    message = len(engine.chat(p["text"], p["max_new_tokens"]))
    check_room(message + 1, p["samples"], positions)
    report, found = Report(), list[Dialogue]()
    for part in dialogues(engine, p["text"], p["samples"], p["max_new_tokens"]):
        if isinstance(part, list):
            found = part
        else:
            asked = Text("requests", "The model answers the questions that the requests will ask.")
            report.show(requests=asked)
            report.say(f"Measuring how long real answers are: {count(100 * part)} %.")
            yield report.frame(0.4 * part)
    longest = max(dialogue.longest for dialogue in found)
    reserve = -(-max(p["reserve"], longest) // size) * size
    check_room(reserve, p["samples"], positions)
    rooms = Rooms(positions // size, size, reserve, p["share"])
    result = _serve(rooms, stream(found, p["requests"], p["arrival"], p["seed"]))
    if p["play"]:
        yield from _played(engine, result, p["speed"])
    step = p["step"] if p["step"] >= 0 else _fullest(result)
    memories = _memories(result, min(step, result.paged.step))
    report.measure(_measured(engine, result, found))
    for timings in passes(engine, [result.at_once(way) for way in result.courses], result.typical_context):
        report.show(*memories, **_sums(result, timings, p))
        report.measure(_in_seconds(result, timings))
        report.say("Timing passes for one text and for many.")
        yield report.frame(0.8)
    tokens, equal, difference, manager = decoded(engine, found[0].prompt, size)
    report.measure(tokens_equal=equal, logits_max_abs_diff=difference)
    title = f"b read through its table: {spelt(engine.tokenizer.decode(tokens))};"
    report.show_also(
        through_the_table=paged_picture(title, manager),
        what_both_wrote=Tokens("what both ways wrote", engine.tokens(tokens)),
    )
    report.say(_caption(report.measured))
    yield report.frame()


def _serve(rooms: Rooms, requests: list[Request]) -> Served:
    paged, contiguous = rooms.paged(requests), rooms.contiguous(requests)
    course, ms = timed(course_of, paged)
    courses = {STRETCHES: course_of(contiguous), BLOCKS: course}
    return Served(requests, rooms, paged, contiguous, courses, paged.step / max(ms, 1e-3) * 1e3)


def _fullest(result: Served) -> int:
    """The first step after which the paged memory holds the most requests."""
    counts = result.courses[BLOCKS].requests
    return counts.index(max(counts)) + 1


def _played(engine: Engine, result: Served, speed: int) -> Iterator[Frame]:
    """The memory every `speed` steps, at a pace the eye can follow."""
    for step in range(0, result.paged.step + 1, speed):
        caption = f"Step {step} of {result.paged.step}: the block map, and the same memory given out in stretches."
        yield Frame(caption, _memories(result, step), {}, 0.4 + 0.2 * step / result.paged.step)
        pause(engine)


def _memories(result: Served, step: int) -> tuple[View, ...]:
    """Both memories after this many steps of the stream."""
    paged, contiguous = result.rooms.pictures(result.requests, step)
    return keyed({"in_stretches": contiguous, "in_blocks": paged})


def _sums(result: Served, timings: Passes, p: Mapping[str, Any]) -> dict[str, View]:
    lines = tuple(
        series(name, range(1, len(course.requests) + 1), course.requests) for name, course in result.courses.items()
    )
    rows = tuple(
        (name, s.most_at_once, s.waste, s.step, s.preemptions)
        for name, s in ((STRETCHES, result.contiguous), (BLOCKS, result.paged))
    )
    columns = ("memory", "most at once", "wasted share", "steps for all", "put off")
    served = plural(len(result.requests), "request")
    return {
        "whole_stream": Timeline(
            f"how long until {served} are answered, in passes as long as they took here",
            tuple(in_time(name, timings, course.written) for name, course in result.courses.items()),
        ),
        "requests_at_once": Curve("requests in memory", lines, "step", "requests"),
        "tokens_per_second": batch_curve(timings, {way: result.at_once(way) for way in result.courses}),
        "in_numbers": Table("the whole stream", columns, rows),
        "published_models": requests_that_fit(p["formula_gib"], p["formula_tokens"], p["formula_used"]),
    }


def _in_seconds(result: Served, timings: Passes) -> dict[str, Any]:
    """Tokens that were wanted per second of passes: what was written twice took time and counts once."""
    ms = {way: total_ms(timings, course.written) for way, course in result.courses.items()}
    return {
        "stream_ms_paged": ms[BLOCKS],
        "stream_ms_contiguous": ms[STRETCHES],
        "tok_per_s_paged": 1e3 * result.answer_tokens / ms[BLOCKS],
        "tok_per_s_contiguous": 1e3 * result.answer_tokens / ms[STRETCHES],
        "paged_speedup": ms[STRETCHES] / ms[BLOCKS],
    }


def _measured(engine: Engine, result: Served, found: Sequence[Dialogue]) -> dict[str, Any]:
    allocator = cast(PagedAllocator, result.paged.allocator)
    return {
        "requests": len(result.requests),
        "prompt_tokens": [len(dialogue.prompt) for dialogue in found],
        "answer_tokens": [len(answer) for dialogue in found for answer in dialogue.answers],
        "block_bytes": engine.model.config.kv_bytes_per_token() * result.rooms.size,
        "reserved_positions": result.rooms.reserve,
        "waste_contiguous": result.contiguous.waste,
        "waste_paged": result.paged.waste,
        "admitted_contiguous": result.contiguous.most_at_once,
        "admitted_paged": result.paged.most_at_once,
        "admitted_ratio": result.paged.most_at_once / max(result.contiguous.most_at_once, 1),
        "texts_at_once_contiguous": result.at_once(STRETCHES),
        "texts_at_once_paged": result.at_once(BLOCKS),
        "steps_contiguous": result.contiguous.step,
        "steps_paged": result.paged.step,
        "preemptions": result.paged.preemptions,
        "tokens_computed_twice": result.paged.tokens - result.answer_tokens + allocator.computed_again,
        "prefix_blocks_shared": allocator.blocks_shared,
        "copies_on_write": allocator.copies,
        "simulated_steps_per_s": result.steps_per_s,
    }


def _caption(m: Mapping[str, Any]) -> str:
    same = "the same" if m["tokens_equal"] else "other"
    return (
        f"{plural(m['requests'], 'request')} served in two ways; through the block table the model wrote {same} tokens."
    )
