"""Serves a stream of real requests out of one memory in two ways, then decodes through a block table for real."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Frame, Table, Text, Tokens, View, series
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.kvcache.block_manager import BlockManager
from llm_holes.engine.kvcache.paged import PagedMemory
from llm_holes.engine.kvcache.scheduler import PagedAllocator, Request, Scheduler, served
from llm_holes.engine.measure import timed
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import count, percent, plural
from llm_holes.lessons.shared.architectures import requests_that_fit
from llm_holes.lessons.shared.pace import pause
from llm_holes.lessons.shared.report import Report, keyed
from llm_holes.lessons.tier3.paged_attention.serving import Dialogue, Rooms, check_room, dialogues, stream

DECODED = 4
MOST_STEPS = 20_000


@dataclass(frozen=True)
class Served:
    """Both schedulers after the whole stream, and how many requests each had in memory after each step."""

    requests: Sequence[Request]
    rooms: Rooms
    paged: Scheduler
    contiguous: Scheduler
    paged_counts: Sequence[int]
    contiguous_counts: Sequence[int]
    steps_per_s: float


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
            yield report.frame(0.6 * part)
    longest = max(dialogue.longest for dialogue in found)
    reserve = -(-max(p["reserve"], longest) // size) * size
    check_room(reserve, p["samples"], positions)
    rooms = Rooms(positions // size, size, reserve, p["share"])
    result = _serve(rooms, stream(found, p["requests"], p["arrival"], p["seed"]))
    if p["play"]:
        yield from _played(engine, result, p["speed"])
    step = p["step"] if p["step"] >= 0 else _fullest(result)
    report.measure(_measured(engine, result, found))
    report.show(*_memories(result, min(step, result.paged.step)), **_sums(result, p))
    report.say(_caption(report.measured))
    yield report.frame(0.7)

    tokens, equal, difference = _decoded(engine, found[0], size)
    report.measure(tokens_equal=equal, logits_max_abs_diff=difference)
    both = Tokens("read through a block table, in scrambled memory: what both ways wrote", engine.tokens(tokens))
    report.show_also(through_the_table=both)
    report.say_also(f"Through the block table: {'the same' if equal else 'other'} tokens.")
    yield report.frame()


def _serve(rooms: Rooms, requests: list[Request]) -> Served:
    paged, contiguous = rooms.paged(requests), rooms.contiguous(requests)
    paged_counts, ms = timed(served, paged, MOST_STEPS)
    contiguous_counts = served(contiguous, MOST_STEPS)
    return Served(requests, rooms, paged, contiguous, paged_counts, contiguous_counts, paged.step / max(ms, 1e-3) * 1e3)


def _fullest(result: Served) -> int:
    """The first step after which the paged memory holds the most requests."""
    return result.paged_counts.index(max(result.paged_counts)) + 1


def _played(engine: Engine, result: Served, speed: int) -> Iterator[Frame]:
    """The memory every `speed` steps, at a pace the eye can follow."""
    for step in range(0, result.paged.step + 1, speed):
        caption = f"Step {step} of {result.paged.step}: the block map, and the same memory given out in stretches."
        yield Frame(caption, _memories(result, step), {}, 0.6 + 0.1 * step / result.paged.step)
        pause(engine)


def _memories(result: Served, step: int) -> tuple[View, ...]:
    """Both memories after this many steps of the stream."""
    paged, contiguous = result.rooms.pictures(result.requests, step)
    return keyed({"in_blocks": paged, "in_stretches": contiguous})


def _sums(result: Served, p: Mapping[str, Any]) -> dict[str, View]:
    lines = tuple(
        series(name, range(1, len(counts) + 1), counts)
        for name, counts in (("paged", result.paged_counts), ("one stretch each", result.contiguous_counts))
    )
    rows = tuple(
        (name, s.most_at_once, s.waste, s.step, s.preemptions)
        for name, s in (("paged", result.paged), ("one stretch each", result.contiguous))
    )
    columns = ("memory", "most at once", "wasted share", "steps for all", "put off")
    return {
        "requests_at_once": Curve("requests in memory", lines, "step", "requests"),
        "whole_stream": Table("the whole stream", columns, rows),
        "published_models": requests_that_fit(p["formula_gib"], p["formula_tokens"], p["formula_used"]),
    }


def _decoded(engine: Engine, dialogue: Dialogue, size: int) -> tuple[list[int], bool, float]:
    """The first tokens of the answer through a contiguous cache, and through blocks in random places after a
    beginning that another request computed: the tokens, whether all agree, the largest difference of logits."""
    prompt, config = list(dialogue.prompt), engine.model.config
    count = -(-len(prompt) // size) + -(-(len(prompt) + DECODED) // size)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0)).tolist()
    memory = PagedMemory(config, BlockManager(count, size, order=order))
    last_logits(engine.model, prompt, memory.allocate("first", prompt))
    plain, paged = ContiguousCache(config, len(prompt) + DECODED), memory.allocate("second", prompt)
    expected = last_logits(engine.model, prompt, plain)
    found = last_logits(engine.model, prompt[paged.length :], paged)
    tokens, equal, difference = [], True, 0.0
    for _ in range(DECODED):
        difference = max(difference, float((found - expected).abs().max()))
        equal &= int(found.argmax()) == int(expected.argmax())
        tokens.append(int(expected.argmax()))
        paged.append_slots(tokens[-1:])
        expected, found = (last_logits(engine.model, tokens[-1:], cache) for cache in (plain, paged))
    return tokens, equal, difference


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
        "steps_contiguous": result.contiguous.step,
        "steps_paged": result.paged.step,
        "preemptions": result.paged.preemptions,
        "prefix_blocks_shared": allocator.blocks_shared,
        "copies_on_write": allocator.copies,
        "simulated_steps_per_s": result.steps_per_s,
    }


def _caption(m: Mapping[str, Any]) -> str:
    return (
        f"At once: {plural(m['admitted_paged'], 'request')} in blocks, {m['admitted_contiguous']} in stretches; "
        f"{percent(m['waste_paged'])} and {percent(m['waste_contiguous'])} empty."
    )
