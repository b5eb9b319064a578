"""A scheduler that has many requests answered out of one memory, step by step, without a model. Torch-free.

In every step each running request gets one token; then waiting requests are let in, in the order of their arrival, as
long as there is room. Where a token finds none, the youngest request loses its memory and waits to start again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm_holes.engine.kvcache.block_manager import BlockManager, OutOfBlocks


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt that arrives in step `arrival`, and the answers the model will write to it, side by side."""

    name: str
    arrival: int
    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]


class Allocator(Protocol):
    """How a memory is given out: to texts, by name, in positions."""

    def allocate(self, name: str, request: Request) -> bool:
        """Room for the prompt of one of the request's texts, or False and nothing is changed."""

    def fork(self, name: str, child: str, request: Request) -> bool:
        """Room for another text with the same prompt."""

    def append(self, name: str, token: int) -> bool:
        """Room for one token more."""

    def free(self, name: str) -> None:
        """The text is done, or preempted."""

    def usage(self) -> tuple[int, int]:
        """Positions given out, and how many of those hold a token."""


class PagedAllocator:
    """Blocks as they are needed, from a block manager."""

    def __init__(self, manager: BlockManager) -> None:
        self.manager = manager
        self.blocks_shared = 0
        self.copies = 0
        self.computed_again = 0
        """Positions of prompts that were computed once before, by a request that was preempted since."""
        self._known: set[str] = set()

    def allocate(self, name: str, request: Request) -> bool:
        try:
            found = self.manager.allocate(name, request.prompt)
        except OutOfBlocks:
            return False
        self.blocks_shared += found // self.manager.block_size
        self.computed_again += len(request.prompt) - found if name in self._known else 0
        self._known.add(name)
        self.manager.mark_computed(name, len(request.prompt) - found)
        return True

    def fork(self, name: str, child: str, request: Request) -> bool:
        self.manager.fork(name, child)
        self.blocks_shared += len(self.manager.holdings[child].block_table)
        return True

    def append(self, name: str, token: int) -> bool:
        try:
            self.copies += self.manager.append(name, (token,)) is not None
        except OutOfBlocks:
            return False
        self.manager.mark_computed(name, 1)
        return True

    def free(self, name: str) -> None:
        self.manager.free(name)

    def usage(self) -> tuple[int, int]:
        manager = self.manager
        given = (len(manager.ref_counts) - len(manager.free_blocks)) * manager.block_size
        return given, sum(manager.filled().values())


class ContiguousAllocator:
    """One stretch of `reserve` positions for each text, the first that is free, whatever will be used of it."""

    def __init__(self, positions: int, reserve: int) -> None:
        self.reserve = reserve
        self.starts: dict[str, int] = {}
        self.lengths: dict[str, int] = {}
        self._positions = positions

    def allocate(self, name: str, request: Request) -> bool:
        start = 0
        for taken in sorted(self.starts.values()):
            if taken - start >= self.reserve:
                break
            start = taken + self.reserve
        if start + self.reserve > self._positions:
            return False
        self.starts[name], self.lengths[name] = start, len(request.prompt)
        return True

    def fork(self, name: str, child: str, request: Request) -> bool:
        return self.allocate(child, request)

    def append(self, name: str, token: int) -> bool:
        self.lengths[name] += 1
        return self.lengths[name] <= self.reserve

    def free(self, name: str) -> None:
        del self.starts[name], self.lengths[name]

    def usage(self) -> tuple[int, int]:
        return len(self.starts) * self.reserve, sum(self.lengths.values())


@dataclass(slots=True)
class SequenceGroup:
    """A request in memory, under vLLM's name for it: the texts it is still writing, by name, each with the tokens to
    come."""

    request: Request
    texts: dict[str, deque[int]]


@dataclass
class Scheduler:
    """The queue, the requests in memory and the counts so far; `step` counts from 0."""

    allocator: Allocator
    requests: Iterable[Request]
    step: int = 0
    running: list[SequenceGroup] = field(default_factory=list)
    waiting: deque[Request] = field(default_factory=deque)
    finished: int = 0
    preemptions: int = 0
    most_at_once: int = 0
    given: int = 0
    used: int = 0
    tokens: int = 0

    def __post_init__(self) -> None:
        self._coming = deque(sorted(self.requests, key=lambda request: request.arrival))

    @property
    def done(self) -> bool:
        return not (self.running or self.waiting or self._coming)

    @property
    def waste(self) -> float:
        """The share of the positions given out that held nothing, over all steps so far."""
        return 1 - self.used / self.given if self.given else 0.0

    def advance(self) -> None:
        """One step."""
        while self._coming and self._coming[0].arrival <= self.step:
            self.waiting.append(self._coming.popleft())
        before = self.preemptions
        self._decode()
        # who was just preempted would otherwise be let in and preempted again in every step
        while self.waiting and before == self.preemptions and self._admit(self.waiting[0]):
            self.waiting.popleft()
        self.most_at_once = max(self.most_at_once, len(self.running))
        given, used = self.allocator.usage()
        self.given += given
        self.used += used
        self.step += 1

    def _decode(self) -> None:
        """One token for every text of every running request, oldest first."""
        for group in list(self.running):
            for name in list(group.texts):
                if group not in self.running:
                    break
                self._token(group, name)
            if group in self.running and not group.texts:
                self.running.remove(group)
                self.finished += 1

    def _token(self, group: SequenceGroup, name: str) -> None:
        coming = group.texts[name]
        while not self.allocator.append(name, coming[0]):
            youngest = self.running[-1]
            self._preempt(youngest)
            if youngest is group:
                return
        coming.popleft()
        self.tokens += 1
        if not coming:
            self.allocator.free(name)
            del group.texts[name]

    def _preempt(self, group: SequenceGroup) -> None:
        for name in group.texts:
            self.allocator.free(name)
        self.running.remove(group)
        self.waiting.appendleft(group.request)
        self.preemptions += 1

    def _admit(self, request: Request) -> bool:
        names = texts_of(request)
        for n, name in enumerate(names):
            if not (self.allocator.fork(names[0], name, request) if n else self.allocator.allocate(name, request)):
                for admitted in names[:n]:
                    self.allocator.free(admitted)
                return False
        answers = zip(names, request.answers, strict=True)
        self.running.append(SequenceGroup(request, {name: deque(answer) for name, answer in answers}))
        return True


def texts_of(request: Request) -> list[str]:
    """The names of its texts: A, A2, A3 …"""
    return [request.name + (str(n + 1) if n else "") for n in range(len(request.answers))]


def served(scheduler: Scheduler, steps: int) -> Sequence[int]:
    """Advances until all is done or `steps` have passed; the requests in memory after each step."""
    counts = []
    while not scheduler.done and scheduler.step < steps:
        scheduler.advance()
        counts.append(len(scheduler.running))
    return counts
