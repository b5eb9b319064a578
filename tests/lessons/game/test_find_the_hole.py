"""The game on a model: every case has the effect it promises, is the same each time, and leaves the model alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Table
from llm_holes.engine.ipc.messages import Case
from llm_holes.engine.measure import fingerprint, kl_nats, perplexity
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.numbers import figure
from llm_holes.engine.surgery.operations import operated
from llm_holes.lessons.game import damage
from llm_holes.lessons.game.damage import DRAWS, Draw, Measured, Yardstick, effect, find
from llm_holes.lessons.game.engine_side import Cases
from llm_holes.lessons.game.rules import DIFFICULTIES, KINDS, PUBLISHES, Difficulty, checked_move

SEEDS = range(12)


@pytest.fixture(scope="module")
def yardstick(tiny: Decoder) -> Yardstick:
    return Yardstick.of(tiny, torch.randint(0, 97, (24,), generator=torch.Generator().manual_seed(2)).tolist())


def levels(monkeypatch: pytest.MonkeyPatch, at_least: float, at_most: float = float("inf")) -> None:
    """All kinds at one difficulty, with these bounds."""
    monkeypatch.setitem(DIFFICULTIES, 3, Difficulty(3, "test", tuple(KINDS), at_least, at_most, par=3, tolerance=1))


@pytest.mark.slow
def test_every_kind_is_drawn_over_the_seeds_and_does_what_it_says(tiny: Decoder, yardstick: Yardstick) -> None:
    every = Difficulty(3, "test", tuple(KINDS), 0.0, 1.0, par=3, tolerance=1)
    drawn = [d for seed in range(40) for d in damage.candidates(tiny, yardstick, seed, every)]
    assert {d.kind for d in drawn} == set(KINDS)
    for d in drawn[::4]:
        assert effect(tiny, yardstick, d).kl_nats > 0
        assert (d.head >= 0) == KINDS[d.kind].has_head
        assert all(str(layer) in d.text for layer in d.layers)


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("level", DIFFICULTIES)
def test_every_kind_fits_into_a_model_of_one_layer(tiny: Decoder, kind: str, level: int) -> None:
    shallow = replace(tiny, config=msgspec.structs.replace(tiny.config, n_layers=1))
    found = DRAWS[kind](Draw(Random(1), shallow, (1, 2, 3), level))
    assert torch.isfinite(operated(shallow, found.operations).forward(torch.tensor([[1, 2, 3]])).logits).all()


def test_the_same_case_is_the_same_damage_and_another_is_another(tiny: Decoder, yardstick: Yardstick) -> None:
    first, again = ([find(tiny, yardstick, Case(seed, 3)) for seed in range(8)] for _ in range(2))
    assert first == again
    assert len({found.damage.text for found in first}) > 4
    assert find(tiny, yardstick, Case(1, 2)) != first[1]


@pytest.mark.slow
def test_the_first_within_bounds_is_taken(tiny: Decoder, yardstick: Yardstick, monkeypatch: pytest.MonkeyPatch) -> None:
    levels(monkeypatch, 0.2, 0.6)
    for seed in range(5):
        found = find(tiny, yardstick, Case(seed, 3))
        drawn = list(damage.candidates(tiny, yardstick, seed, DIFFICULTIES[3]))
        effects = [effect(tiny, yardstick, d).kl_nats for d in drawn]
        within = [d for d, kl in zip(drawn, effects, strict=True) if 0.2 <= kl <= 0.6]
        assert found.damage == within[0]


@pytest.mark.slow
def test_without_one_within_bounds_the_quietest_that_can_be_heard(
    tiny: Decoder, yardstick: Yardstick, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels(monkeypatch, 0.5, 0.5)
    found = find(tiny, yardstick, Case(4, 3))
    drawn = damage.candidates(tiny, yardstick, 4, DIFFICULTIES[3])
    loud_enough = [kl for kl in (effect(tiny, yardstick, d).kl_nats for d in drawn) if kl >= 0.5]
    assert found.effect.kl_nats == min(loud_enough)


def test_where_nothing_drawn_can_be_heard_the_first_layer_is_skipped(
    tiny: Decoder, yardstick: Yardstick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "KINDS_DRAWN", 0)
    assert find(tiny, yardstick, Case(4, 3)).damage == damage.skip(0)


def test_a_case_nobody_could_solve_is_refused(
    tiny: Decoder, yardstick: Yardstick, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels(monkeypatch, 1e6)
    with pytest.raises(InputError, match="no damage of at least"):
        find(tiny, yardstick, Case(4, 3))
    with pytest.raises(InputError, match="difficulty is one of 1, 2, 3"):
        find(tiny, yardstick, Case(4, 9))


def test_a_cancelled_search_leaves_no_half_found_case(engine: Engine) -> None:
    cases = Cases()
    with pytest.raises(Cancelled):
        cases.found(engine.cancellable(lambda: True), Case(1, 1))
    calls = iter(range(40))
    with pytest.raises(Cancelled):
        cases.found(engine.cancellable(lambda: next(calls) >= 35), Case(1, 1))
    assert cases.found(engine, Case(1, 1)) == Cases().found(engine, Case(1, 1))


@pytest.fixture(scope="module")
def played(engine: Engine) -> tuple[Cases, dict[Case, Measured], str]:
    """Twelve seeds at each difficulty, and a hash of the weights before any of it."""
    cases, before = Cases(), fingerprint(engine.model.weights)
    return (
        cases,
        {case: cases.found(engine, case) for case in (Case(s, d) for s in SEEDS for d in DIFFICULTIES)},
        before,
    )


def test_every_case_is_heard_and_many_kinds_come_up(
    engine: Engine, played: tuple[Cases, dict[Case, Measured], str]
) -> None:
    _, found, _ = played
    for case, each in found.items():
        assert each.effect.kl_nats >= DIFFICULTIES[case.difficulty].at_least_nats, (case, each)
        assert each.damage.kind in DIFFICULTIES[case.difficulty].kinds
    assert len({each.damage.kind for each in found.values()}) >= 8
    assert len({each.damage.text for each in found.values()}) >= 25


def test_the_effect_shown_is_the_one_measured_anew(
    engine: Engine, played: tuple[Cases, dict[Case, Measured], str]
) -> None:
    cases, found, before = played
    yardstick = cases.yardstick(engine)
    for case in (Case(2, 1), Case(3, 3)):
        damaged = cases.damaged(engine, case)
        ids = torch.tensor(yardstick.ids)
        measured = found[case].effect
        assert kl_nats(engine.logits(yardstick.ids), damaged.logits(yardstick.ids)) == measured.kl_nats
        assert perplexity(damaged.logits(yardstick.ids), ids) == measured.perplexity_damaged
    assert torch.equal(engine.logits(yardstick.ids), yardstick.intact)
    assert fingerprint(engine.model.weights) == before


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_naming_everything_right_scores_full_and_shows_the_truth(
    engine: Engine, played: tuple[Cases, dict[Case, Measured], str], difficulty: int
) -> None:
    cases, found, _ = played
    truth = found[Case(5, difficulty)].damage
    settings: dict[str, Any] = {
        "seed": 5,
        "difficulty": difficulty,
        "guess_kind": truth.kind,
        "guess_layer": truth.layers[-1] if truth.layers else -1,
        "guess_head": truth.head,
        "probes": DIFFICULTIES[difficulty].par,
    }
    (frame,) = cases.reveal(engine, checked_move(settings, engine.info))
    assert tuple(frame.measured) == PUBLISHES
    assert frame.measured["score"] == 100
    assert frame.measured["truth_kind"] == truth.kind
    assert frame.measured["undo_bit_identical"] is True
    assert frame.measured["solvable"] is True
    assert truth.text[1:] in frame.caption
    assert f"→ {figure(float(str(frame.measured['perplexity_damaged'])))}." in frame.caption
    verdict = frame.views[0]
    assert isinstance(verdict, Table)
    looks = frame.views[-1]
    assert isinstance(looks, Table)
    assert 4 <= len(looks.rows) <= DIFFICULTIES[difficulty].par + 1, "halving thirty layers takes about five probes"
    assert all(str(shown).startswith("Entering layer ") for _, shown in looks.rows)
    assert verdict.rows[0][1:] == (KINDS[truth.kind].label, KINDS[truth.kind].label, 50)

    wrong = {**settings, "guess_kind": "give-up"}
    (frame,) = cases.reveal(engine, checked_move(wrong, engine.info))
    assert frame.measured["score"] == 0
    assert frame.measured["truth_kind"] == truth.kind
