"""A case can be solved by its own probes: comparing layers, and reading what they show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Frame
from llm_holes.engine.ipc.messages import Case
from llm_holes.engine.spelling import spaced
from llm_holes.engine.surgery.ablations import NormRemoved
from llm_holes.engine.surgery.operations import HeadOff, operated
from llm_holes.lessons.game.compare import compared
from llm_holes.lessons.game.engine_side import Cases, names
from llm_holes.lessons.game.rules import DIFFICULTIES, EVERYWHERE, NO_HEAD
from llm_holes.lessons.game.solver import solve
from llm_holes.lessons.game.streams import streams_of
from tests.support.soak import examples

SEEDS = range(min(60, examples(20)))
"""Sixty of each level in `just soak`."""
TOKENS = 24
"""Fewer than in the game, where a case takes three times as long: what is broken shows as well."""
IDS = (504, 2365, 282, 4649, 314, 260, 3575, 282, 260, 1174, 30)
LAYER, HEAD = 12, 4


def looked(engine: Engine, cases: Cases, case: Case, layer: int) -> Mapping[str, Any]:
    asked = {"seed": case.seed, "difficulty": case.difficulty, "compare_layer": layer}
    (frame,) = cases.run(engine, asked)
    return frame.measured


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_cases_of_each_level_are_named_whole_within_par(engine: Engine, difficulty: int) -> None:
    cases = Cases(TOKENS)
    for seed in SEEDS:
        case = Case(seed, difficulty)
        guess = solve(lambda layer, case=case: looked(engine, cases, case, layer), engine.model.config.n_layers)
        assert names(guess, cases.found(engine, case).damage), (case, guess)
        assert len(guess.looked) <= DIFFICULTIES[difficulty].par + 1


@pytest.fixture(scope="module")
def frames(engine: Engine) -> list[Frame]:
    """The layer before a silenced head, that with it and the one after it."""
    broken = operated(engine.model, [HeadOff(LAYER, HEAD)])
    streams, own = streams_of(engine.model, IDS), streams_of(broken, IDS)
    return [compared(engine, broken, IDS, streams, own, layer) for layer in (LAYER - 1, LAYER, LAYER + 1)]


def test_before_the_damage_nothing_is_apart_and_after_it_only_what_came_in(frames: list[Frame]) -> None:
    before, at, after = (frame.measured for frame in frames)
    assert before["apart_leaving"] == at["apart_entering"] == 0
    assert float(str(at["apart_leaving"])) > 0
    assert after["apart_entering"] == at["apart_leaving"]
    for healthy in (before, after):
        assert not any(healthy["apart_by_place"].values())  # type: ignore[union-attr]
        assert healthy["channels_apart"] == 0
    assert (
        frames[0].caption == f"Entering layer {LAYER - 1}: equal; leaving it: equal. Given the same, it does the same."
    )


def test_the_layer_with_the_damage_shows_the_first_place_that_parts_and_the_head(frames: list[Frame]) -> None:
    measured = frames[1].measured
    places = measured["apart_by_place"]
    assert isinstance(places, dict)
    assert [place for place, far in places.items() if not far][-1] == "where tokens look"
    assert measured["apart_by_head"] == [float(n == HEAD) for n in range(len(measured["apart_by_head"]))]  # type: ignore[arg-type]
    assert frames[1].caption.endswith("Given the same, its heads bring home part first.")
    bars = next(view for view in frames[1].views if isinstance(view, Bars) and view.key == "head by head")
    assert bars.values[HEAD] == 1


def test_the_lens_says_how_much_likelier_each_next_token_became_in_powers_of_ten(
    engine: Engine, frames: list[Frame]
) -> None:
    before, at = (next(view for view in frame.views if view.key == "in words") for frame in frames[:2])
    assert isinstance(before, Bars)
    assert set(before.values) == {0}
    broken = operated(engine.model, [HeadOff(LAYER, HEAD)])
    p, q = (engine.model.unembed(streams_of(model, IDS)[LAYER + 1][-1]).softmax(-1) for model in (engine.model, broken))
    likeliest = int(p.argmax())
    assert isinstance(at, Bars)
    assert at.labels[0].startswith(f"{spaced(engine.token_text(likeliest))} ")
    assert at.values[0] == pytest.approx(float((q / p).log10()[likeliest]), abs=1e-5)
    assert at.values[0] != 0


def test_what_is_out_of_the_question_is_called_nearly_nothing_and_counted_as_one_in_a_billion(engine: Engine) -> None:
    broken = operated(engine.model, [NormRemoved(LAYER)])
    streams, own = streams_of(engine.model, IDS), streams_of(broken, IDS)
    frame = compared(engine, broken, IDS, streams, own, engine.model.config.n_layers - 1)
    bars = next(view for view in frame.views if view.key == "in words")
    assert isinstance(bars, Bars)
    faint = [value for label, value in zip(bars.labels, bars.values, strict=True) if "nearly 0" in label]
    assert faint
    assert max(map(abs, faint)) <= 9


def test_the_streams_that_are_compared_are_those_of_the_whole_model(engine: Engine) -> None:
    names_ = [f"blocks.{n}.hook_resid_post" for n in (0, 29)]
    acts = engine.model.forward(torch.tensor([IDS]), taps=names_).acts
    streams = streams_of(engine.model, IDS)
    for layer, name in zip((0, 29), names_, strict=True):
        assert torch.equal(streams[layer + 1], torch.from_numpy(acts[name][0]))


@pytest.mark.parametrize("kind", ["positions-shifted", "window-only"])
def test_damage_everywhere_is_told_from_damage_in_the_first_layer(kind: str) -> None:
    place = {"positions-shifted": "keys at their place", "window-only": "where tokens look"}[kind]

    def look(broken: set[int]) -> Any:
        from llm_holes.lessons.game.compare import PLACES

        def at(layer: int) -> dict[str, Any]:
            return {
                "apart_leaving": 1.0,
                "apart_by_place": {name: float(layer in broken and name == place) for name in PLACES},
                "attention_adds_nothing": False,
                "ffn_adds_nothing": False,
                "tokens_before_first_apart": 8,
            }

        return at

    assert solve(look(set(range(4))), 4).layer == EVERYWHERE
    first = solve(look({0}), 4)
    assert (first.kind, first.layer, first.head) == (kind, 0, NO_HEAD)
