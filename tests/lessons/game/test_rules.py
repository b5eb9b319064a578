"""What a guess in the game is worth, and what the choice list offers."""

from __future__ import annotations

from typing import Any

import pytest

from llm_holes.engine.ipc.messages import Case, Run, decode_request, pack
from llm_holes.lessons.catalog.settings import SettingsError
from llm_holes.lessons.game.rules import (
    DIFFICULTIES,
    EVERYWHERE,
    GIVE_UP,
    KINDS,
    NO_HEAD,
    NOWHERE,
    checked_move,
    score,
)
from tests.support.fake_engine import MODEL
from tests.support.imports import DRAWING_LIBRARIES, MODEL_LIBRARIES, SLOW_ON_THE_WAY_TO_THE_FIRST_PAINT, loaded_by


def guess(kind: str, layer: int, head: int = NO_HEAD, probes: int = 0) -> dict[str, Any]:
    return {"guess_kind": kind, "guess_layer": layer, "guess_head": head, "probes": probes}


@pytest.mark.parametrize(
    ("level", "truth", "given", "points"),
    [
        (1, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", 4, probes=5), 100),
        (1, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", 4, probes=6), 98),
        (1, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", 4, probes=10), 90),
        (1, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", 4, probes=1000), 0),
        # 10 for the head need the right layer
        (3, ("head-off", (4,), 2), guess("head-off", 4, 2), 100),
        (3, ("head-off", (4,), 2), guess("head-off", 4, 3), 90),
        (3, ("head-off", (4,), 2), guess("head-off", 5, 2), 75),
        (3, ("head-off", (4,), 2), guess("head-off", 6, 2), 60),
        # the tolerance: 3 layers when it is loud, 2 when it is clear
        (1, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", 7), 68),
        (1, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", 8), 60),
        (2, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", 2), 70),
        (2, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", 1), 60),
        # the right layer for the wrong reason, and no thrift for it
        (1, ("ffn-off", (4,), NO_HEAD), guess("layer-skipped", 4), 30),
        (1, ("ffn-off", (4,), NO_HEAD), guess("layer-skipped", 4, probes=7), 26),
        (1, ("ffn-off", (4,), NO_HEAD), guess("ffn-off", EVERYWHERE), 60),
        (1, ("ffn-off", (0,), NO_HEAD), guess("ffn-off", EVERYWHERE), 60),
        # either of two layers
        (2, ("layers-swapped", (3, 9), NO_HEAD), guess("layers-swapped", 9), 100),
        (2, ("layers-swapped", (3, 9), NO_HEAD), guess("layers-swapped", 6), 60),
        # everywhere
        (1, ("window-only", (), NO_HEAD), guess("window-only", EVERYWHERE), 100),
        (1, ("window-only", (), NO_HEAD), guess("window-only", 0), 60),
        (1, ("window-only", (), NO_HEAD), guess("positions-shifted", EVERYWHERE), 0),
        (1, ("window-only", (), NO_HEAD), guess(GIVE_UP, EVERYWHERE), 0),
        (1, ("ffn-off", (4,), NO_HEAD), guess(GIVE_UP, 4), 0),
    ],
)
def test_points(level: int, truth: tuple[str, tuple[int, ...], int], given: dict[str, Any], points: int) -> None:
    assert score(DIFFICULTIES[level], *truth, given).total == points


def test_every_kind_is_played_and_the_quieter_have_more_time() -> None:
    played = {kind for difficulty in DIFFICULTIES.values() for kind in difficulty.kinds}
    assert played == set(KINDS)
    assert all(kind.label and kind.hint for kind in KINDS.values())
    levels = [DIFFICULTIES[n] for n in (1, 2, 3)]
    assert [d.level for d in levels] == [1, 2, 3]
    assert levels == sorted(levels, key=lambda d: d.par)
    assert levels == sorted(levels, key=lambda d: -d.at_least_nats)
    assert all(0 < d.at_least_nats < d.at_most_nats for d in levels)


def test_a_guess_is_checked_against_the_model_and_filled_up() -> None:
    assert checked_move({"seed": 7}, MODEL) == {
        "seed": 7,
        "difficulty": 1,
        "guess_kind": GIVE_UP,
        "guess_layer": EVERYWHERE,
        "guess_head": NO_HEAD,
        "compare_layer": NOWHERE,
        "probes": 0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("guess_kind", "gremlins"),
        ("guess_layer", MODEL.n_layers),
        ("guess_layer", -2),
        ("guess_head", MODEL.n_heads),
        ("difficulty", 4),
        ("probes", -1),
        ("seed", "one"),
        ("truth", 1),
    ],
)
def test_a_guess_that_cannot_be_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        checked_move({name: value}, MODEL)


def test_a_run_carries_its_case_and_one_without_it_is_as_before() -> None:
    for case in (None, Case(5, 2)):
        run = Run(1, "tokens", {}, case)
        assert decode_request(pack(run)[4:]) == run
    assert Run(1, "tokens", {}).case is None


def test_the_choice_list_needs_no_model_library() -> None:
    loaded = loaded_by("import llm_holes.lessons.game.rules")
    assert not loaded & (MODEL_LIBRARIES | DRAWING_LIBRARIES | SLOW_ON_THE_WAY_TO_THE_FIRST_PAINT)
