"""A case played through the real engine process."""

from __future__ import annotations

from typing import Any

from llm_holes.engine.frames import Frame
from llm_holes.engine.ipc.messages import Case, Failed, Finished, Run
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from tests.support.talk import Talk

CASE = Case(3, 1)


async def last(engine: Talk, run: Run) -> Frame:
    engine.client.send(run)
    answer = await engine.answer(run.id, 60)
    assert isinstance(answer, Finished), answer
    return engine.frames(run.id)[-1].frame


async def test_a_case_is_probed_named_and_gone(engine: Talk) -> None:
    settings: dict[str, Any] = {"text": "The cat sat on the mat, and the cat", "max_new_tokens": 4}
    intact = await last(engine, Run(1, "attention", settings))
    probed = await last(engine, Run(2, "attention", settings, CASE))
    assert probed.measured["p_next"] != intact.measured["p_next"]
    assert await last(engine, Run(3, "attention", settings, CASE)) == probed
    assert await last(engine, Run(4, "attention", settings)) == intact

    guess: dict[str, Any] = {"seed": CASE.seed, "difficulty": CASE.difficulty, "probes": 2}
    given_up = await last(engine, Run(5, FIND_THE_HOLE, guess))
    assert given_up.measured["score"] == 0
    truth = {f"guess_{name}": given_up.measured[f"truth_{name}"] for name in ("kind", "layer", "head")}
    named = await last(engine, Run(6, FIND_THE_HOLE, guess | truth, CASE))
    assert named.measured["score"] == 100
    assert named.measured["undo_bit_identical"] is True
    assert named.measured["kl_nats"] == given_up.measured["kl_nats"] >= 1.0
    assert await last(engine, Run(7, "attention", settings)) == intact


async def test_what_cannot_be_played_says_why(engine: Talk) -> None:
    for number, run in enumerate(
        (
            Run(0, "tokens", {}, Case(1, 9)),
            Run(0, FIND_THE_HOLE, {"difficulty": 9}),
            Run(0, FIND_THE_HOLE, {"guess_layer": 900}),
        )
    ):
        engine.client.send(Run(number, run.lesson, run.settings, run.case))
        failed = await engine.answer(number)
        assert isinstance(failed, Failed)
        assert failed.usage
        assert "difficulty" in failed.error or "guess_layer" in failed.error
