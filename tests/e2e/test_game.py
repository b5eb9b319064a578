"""Find the hole, played by keys on the real model in a real terminal."""

from __future__ import annotations

from pathlib import Path

from llm_holes.lessons.learner.events import Began, Named, Probed, decode
from llm_holes.lessons.learner.progress import FILE
from tests.support.start import open_lesson


def test_from_the_tree_to_the_truth(env: dict[str, str]) -> None:
    with open_lesson(env, "attention") as t:
        t.keys("\x1b")
        t.until("enter open")
        t.keys("\x1b[F")
        t.until("probe it with any lesson and name it")
        t.keys("\r")
        t.until("enter begins")
        t.keys("j")
        t.until("▸ case ")
        t.keys("42\r")
        t.until("the model is broken  case 42 loud · probes 0, par 5")
        t.keys("r")
        t.until("probes 1, par 5", 60)
        t.keys("f")
        t.until("enter names it")
        assert "of 100 points" not in t.text
        t.keys("j")
        t.until("▸ in which layer")
        t.keys("7\r")
        t.until("of 100 points", 60)
        t.until("what you named and what it was")
        t.until(lambda: "the model is broken" not in t.text)
        t.keys("q")
        assert t.status() == 0
    events = decode(Path(env["LLM_HOLES_STATE"], FILE).read_bytes()).events
    began, probed, named = (next(e for e in events if isinstance(e, kind)) for kind in (Began, Probed, Named))
    assert (began.seed, began.difficulty, probed.probe) == (42, 1, "attention")
    assert "guess_layer 7" in named.said
    assert named.truth.startswith("truth_kind ")
