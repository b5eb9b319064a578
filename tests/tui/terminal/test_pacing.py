"""When a paint may go."""

from __future__ import annotations

from llm_holes.tui.terminal.pacing import BURST, PATIENCE, RATE, WINDOW, Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def answering(clock: Clock) -> Pace:
    pace = Pace(clock)
    pace.sent(10)
    pace.answered()
    return pace


def test_a_paint_waits_for_the_answer_to_the_one_before() -> None:
    pace = answering(Clock())
    pace.sent(5000)
    assert pace.wait() > 0
    assert pace.waiting
    pace.answered()
    assert pace.wait() == 0
    assert not pace.waiting


def test_small_paints_do_not_wait_for_one_another() -> None:
    pace = answering(Clock())
    for _ in range(3):
        assert pace.wait() == 0
        pace.sent(WINDOW // 3 + 1)
    assert pace.wait() > 0
    pace.answered()
    assert pace.wait() == 0


def paints(pace: Pace, clock: Clock, seconds: float, size: int) -> int:
    """How many paints of so many bytes go in these seconds without an answer."""
    sent = 0
    while clock.now < seconds:
        if wait := pace.wait():
            clock.now += wait
        else:
            pace.sent(size)
            sent += 1
    return sent


def test_the_first_paints_do_not_wait_for_an_answer_that_may_never_come() -> None:
    pace = Pace(Clock())
    pace.sent(5000)
    assert pace.wait() == 0
    assert not pace.waiting


def test_a_terminal_that_does_not_answer_gets_so_many_bytes_a_second() -> None:
    clock = Clock()
    sent = 6000 * paints(Pace(clock), clock, 100, size=6000)
    assert 99 * RATE < sent <= 100 * RATE + BURST + 6000


def test_an_answer_that_is_lost_holds_the_screen_for_a_while_only() -> None:
    clock = Clock()
    pace = answering(clock)
    pace.sent(1000)
    clock.now += pace.wait()
    assert PATIENCE < clock.now < 1.5 * PATIENCE
    assert pace.wait() == 0
    pace.sent(1000)
    pace.answered()
    assert pace.wait() == 0


def test_on_a_line_that_stalls_ever_less_is_sent() -> None:
    clock = Clock()
    pace = answering(clock)
    assert 4 <= paints(pace, clock, 120, size=5000) <= 8
    pace.answered()
    pace.sent(5000)
    assert pace.wait() < 2 * PATIENCE


def test_an_answer_nobody_asked_for_lets_nothing_through() -> None:
    pace = answering(Clock())
    pace.answered()
    pace.sent(5000)
    assert pace.wait() > 0
