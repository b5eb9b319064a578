"""What the front end knows of an engine that says nothing. Everything else of the session is tested through the app."""

from __future__ import annotations

from llm_holes.engine.ipc.messages import Alive, Finished, Ready, Request
from llm_holes.engine.ipc.session import QUIET_SECONDS, Session
from llm_holes.engine.work import Doing, Work
from tests.support.fake_engine import MODEL


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_silence_is_told_while_the_engine_is_waited_for_and_ends_with_a_sign_of_life() -> None:
    clock, requests = Clock(), list[Request]()
    session = Session(requests.append, lambda: None, clock)
    clock.now = QUIET_SECONDS - 1
    assert session.silent == 0
    clock.now += 3
    assert session.silent == QUIET_SECONDS + 2
    session.reply(Ready(MODEL))
    clock.now += 1000
    assert session.silent == 0, "nobody asked it anything"
    session.start("tokens", {})
    assert session.silent == 0
    clock.now += 12.5
    assert session.silent == 12
    session.reply(Alive())
    assert (session.silent, session.run.phase) == (0, "running")
    clock.now += 12
    session.start("tokens", {"text": "hi"})
    assert session.silent == 12, "asking again is no word of it"
    session.reply(Finished(session.run.id, {}, 1.0))
    clock.now += 100
    assert session.silent == 0


def test_what_a_run_does_is_known_until_the_next_and_of_no_other() -> None:
    session = Session(list[Request]().append, lambda: None, Clock())
    session.reply(Ready(MODEL))
    session.start("tokens", {})
    first, doing = session.run.id, Doing(Work("layer", 3, 30, 4001))
    session.reply(Alive(first, doing))
    session.reply(Alive())
    assert session.doing == doing
    session.start("tokens", {"text": "hi"})
    session.reply(Alive(first, doing))
    assert session.doing is None
