"""Waiting, without waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from llm_holes.tui.services.later import Later


@dataclass
class FakeTimers:
    running: dict[int, tuple[float, Callable[[], None]]] = field(default_factory=dict)
    made: int = 0

    def set(self, seconds: float, work: Callable[[], None]) -> FakeTimer:
        self.made += 1
        self.running[self.made] = (seconds, work)
        return FakeTimer(self, self.made)

    def ring(self) -> None:
        running, self.running = self.running, {}
        for _, work in running.values():
            work()


@dataclass
class FakeTimer:
    timers: FakeTimers
    number: int

    def stop(self) -> None:
        self.timers.running.pop(self.number, None)


def test_what_is_asked_for_many_times_is_done_once() -> None:
    timers, done = FakeTimers(), list[int]()
    later = Later(timers.set, lambda: done.append(1))
    for _ in range(5):
        later.within(2.0)
    assert timers.made == 1
    timers.ring()
    assert done == [1]
    later.within(1.0)
    timers.ring()
    assert done == [1, 1]


def test_after_begins_the_wait_anew() -> None:
    timers, done = FakeTimers(), list[int]()
    later = Later(timers.set, lambda: done.append(1))
    later.after(1.0)
    later.after(3.0)
    assert [seconds for seconds, _ in timers.running.values()] == [3.0]
    timers.ring()
    assert done == [1]


def test_what_was_dropped_is_not_done() -> None:
    timers, done = FakeTimers(), list[int]()
    later = Later(timers.set, lambda: done.append(1))
    later.within(1.0)
    later.drop()
    later.drop()
    timers.ring()
    assert done == []
