"""A stream of requests with the model's own answers, and pictures of the memory they are served from."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Block, Blocks, BlockTable
from llm_holes.engine.generation.batched import answers
from llm_holes.engine.kvcache.block_manager import BlockManager
from llm_holes.engine.kvcache.scheduler import ContiguousAllocator, PagedAllocator, Request, Scheduler, served
from llm_holes.engine.numbers import plural

QUESTIONS = (
    "What is the capital of France?",
    "Name a color.",
    "How many legs does a spider have?",
    "Why is the sky blue?",
    "Write one line about rain.",
)
MOST_STEPS = 20_000
ALIKE = 32
"""Prompts that differ by no more tokens are read side by side."""

_WRITTEN: dict[tuple[object, ...], list[tuple[int, ...]]] = {}
"""Answers by model and settings: the model always writes the same, so once is enough."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        return len(self.prompt) + max(map(len, self.answers))


def dialogues(engine: Engine, message: str, samples: int, limit: int) -> Iterator[list[Dialogue] | float]:
    """The learner's message and a few more, each with `samples` answers; before them, how much is done (0..1)."""
    prompts = [tuple(engine.chat(text, limit)) for text in (message, *QUESTIONS)]
    rows = [prompt for prompt in prompts for _ in range(samples)]
    ends = engine.tokenizer.eos_ids.__contains__
    key = (engine.files.sha256, message, samples, limit)
    if key not in _WRITTEN:
        written: dict[int, tuple[int, ...]] = {}
        groups = _together(rows)
        for done, group in enumerate(groups):
            asked, ranks = [rows[n] for n in group], [n % samples for n in group]
            steps = max(map(len, asked)) - min(map(len, asked)) + limit
            found: list[list[int]] = []
            for step, found in enumerate(answers(engine.model, asked, ranks, limit, ends), 1):  # noqa: B007
                yield min((done + step / steps) / len(groups), 1.0)
            written |= {n: tuple(answer) for n, answer in zip(group, found, strict=True)}
        _WRITTEN[key] = [written[n] for n in range(len(rows))]
    yield [Dialogue(prompt, tuple(_WRITTEN[key][n * samples : (n + 1) * samples])) for n, prompt in enumerate(prompts)]


def _together(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which rows go through the model side by side: one much longer than the others would keep them all waiting."""
    shortest = min(map(len, rows))
    near = [n for n, row in enumerate(rows) if len(row) <= shortest + ALIKE]
    far = [n for n in range(len(rows)) if n not in near]
    return [near, *([n] for n in far)]


def stream(found: Sequence[Dialogue], count: int, every: float, seed: int) -> list[Request]:
    """This many requests, one every `every` steps on average; the first is the learner's."""
    rng = random.Random(seed)
    requests, arrival = [], 0.0
    for n in range(count):
        chosen = found[0] if n == 0 else rng.choice(found)
        requests.append(Request(string.ascii_letters[n], int(arrival), chosen.prompt, chosen.answers))
        arrival += rng.expovariate(1 / every) if every else 0
    return requests


@dataclass(frozen=True, slots=True)
class Course:
    """What a scheduler did, step by step: how many requests were in memory after each step, and how many tokens it
    wrote."""

    requests: tuple[int, ...]
    written: tuple[int, ...]


def course_of(scheduler: Scheduler) -> Course:
    """Serves the whole stream."""
    steps: list[tuple[int, int]] = []
    while not scheduler.done and scheduler.step < MOST_STEPS:
        before = scheduler.tokens
        scheduler.advance()
        steps.append((len(scheduler.running), scheduler.tokens - before))
    return Course(tuple(requests for requests, _ in steps), tuple(written for _, written in steps))


def check_room(each: int, samples: int, positions: int) -> None:
    """Raises InputError if a request of `samples` texts of `each` positions does not fit the memory alone."""
    if (needed := samples * each) > positions:
        raise InputError(
            f"one request needs {needed:,} positions; the memory holds {positions:,} in whole blocks",
            "Make the memory larger, or what is reserved or the message smaller.",
        )


@dataclass(frozen=True, slots=True)
class Rooms:
    """How the memory is cut up: blocks, their size, the positions reserved for each text in the other way."""

    blocks: int
    size: int
    reserve: int
    share: bool

    def paged(self, requests: Sequence[Request]) -> Scheduler:
        return Scheduler(PagedAllocator(BlockManager(self.blocks, self.size, self.share)), requests)

    def contiguous(self, requests: Sequence[Request]) -> Scheduler:
        return Scheduler(ContiguousAllocator(self.blocks * self.size, self.reserve), requests)

    def pictures(self, requests: Sequence[Request], step: int) -> tuple[Blocks, Blocks]:
        """Both memories after `step` steps of the stream."""
        paged, contiguous = self.paged(requests), self.contiguous(requests)
        served(paged, step)
        served(contiguous, step)
        return (
            paged_picture(f"paged, step {step}: {_state(paged)}", cast(PagedAllocator, paged.allocator).manager),
            contiguous_picture(
                f"one stretch each: {_state(contiguous)}",
                cast(ContiguousAllocator, contiguous.allocator),
                self.size,
                self.blocks,
            ),
        )


def _state(scheduler: Scheduler) -> str:
    return f"{len(scheduler.running)} answering, {len(scheduler.waiting)} waiting, {scheduler.finished} done;"


def paged_picture(title: str, manager: BlockManager) -> Blocks:
    owners, filled = manager.owners(), manager.filled()
    size = manager.block_size
    blocks = tuple(
        Block(tuple(owners.get(n, ())), filled.get(n, 0) / size, f"{filled.get(n, 0)} of {plural(size, 'position')}")
        for n in range(len(manager.ref_counts))
    )
    tables = tuple(
        BlockTable(name, tuple(held.block_table), plural(len(held.token_ids), "position"))
        for name, held in manager.holdings.items()
    )
    return Blocks(title, blocks, tables)


def contiguous_picture(title: str, allocator: ContiguousAllocator, size: int, count: int) -> Blocks:
    """The same memory, given out in stretches; each is a whole number of blocks long."""
    blocks = [Block()] * count
    for name, start in allocator.starts.items():
        for n in range(allocator.reserve // size):
            used = min(max(allocator.lengths[name] - n * size, 0), size)
            blocks[start // size + n] = Block((name,), used / size, f"{used} of {plural(size, 'position')}")
    return Blocks(title, tuple(blocks))
