"""Thinking: what stands between question and answer decides, checked by scoring whole texts one by one."""

from __future__ import annotations

from typing import Any

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Bars, Curve, Frame, Heatmap, Tokens, Transcript
from llm_holes.lessons.tier1.thinking.sums import MISTAKE, conversation, drawn
from tests.support.lessons import frames, measured

QUICK: dict[str, Any] = {"trials": 0, "thinking_tokens": 2}


def probability(engine: Engine, question: str, between: list[int], wanted: str) -> tuple[float, bool]:
    """Of `wanted` behind the prompt and `between`, in one pass without a cache; and whether it is the likeliest."""
    ids = engine.tokenizer.encode(wanted)
    prompt = engine.tokenizer.chat_ids(conversation(question)) + between
    logits = engine.logits(prompt + ids, len(ids) + 1)[:-1]
    return float(logits.softmax(-1)[range(len(ids)), ids].prod()), logits.argmax(-1).tolist() == ids


def exchange(last: Frame) -> Transcript:
    return next(view for view in last.views if isinstance(view, Transcript))


def test_each_probability_is_that_of_the_whole_text(engine: Engine) -> None:
    found = frames(engine, "thinking")[-1]
    m: dict[str, Any] = found.measured
    encode = engine.tokenizer.encode
    strip = next(v for v in found.views if v.key == "its own notes" and isinstance(v, Tokens))
    own = [token.id for token in strip.tokens]
    question, behind = "What is 7 + 5 + 8?", encode("\nAnswer:")
    for name, between in {
        "p_answer_direct": encode("Answer:"),
        "p_answer_after_thinking": encode("Notes:") + own + behind,
        "p_answer_with_good_notes": encode("Notes: 7 + 5 = 12. 12 + 8 = 20.\nAnswer:"),
        "p_answer_with_wrong_notes": encode("Notes: 7 + 5 = 15. 15 + 8 = 23.\nAnswer:"),
        "p_answer_with_filler": encode("Notes:" + " ." * m["thinking_tokens"]) + behind,
    }.items():
        assert m[name] == pytest.approx(probability(engine, question, between, " 20")[0], abs=1e-3), name
    assert m["thinking_tokens"] == len(own) == len(encode(" 7 + 5 = 12. 12 + 8 = 20."))
    assert m["p_answer_direct"] < 0.2 < 0.9 < m["p_answer_after_thinking"]
    assert m["p_answer_with_filler"] < 0.1
    assert (m["answer_after_thinking"], m["answer_with_wrong_notes"]) == ("20", "23")
    assert m["extra_ms"] > 0


def test_the_counts_are_those_of_each_sum_asked_alone(engine: Engine) -> None:
    m = measured(engine, "thinking")
    right = dict.fromkeys(("right_direct", "right_with_good_notes", "right_with_wrong_notes", "right_with_filler"), 0)
    followed = 0
    for asked in drawn(4, 0):
        encode, dots = engine.tokenizer.encode, " ." * len(engine.tokenizer.encode(f" {asked.steps()}"))
        texts = ("Answer:", *(f"Notes:{n}\nAnswer:" for n in (f" {asked.steps()}", f" {asked.steps(MISTAKE)}", dots)))
        for name, text in zip(right, texts, strict=True):
            right[name] += probability(engine, asked.question, encode(text), f" {asked.total}")[1]
        followed += probability(engine, asked.question, encode(texts[2]), f" {asked.total + MISTAKE}")[1]
    assert {name: m[name] for name in right} == right
    assert m["followed_the_mistake"] == followed
    assert m["trials"] == 4 == right["right_with_good_notes"]
    assert right["right_with_wrong_notes"] == right["right_with_filler"] == 0 < m["right_with_unfinished_notes"]


def test_the_curve_begins_where_the_bars_do(engine: Engine) -> None:
    last = frames(engine, "thinking")[-1]
    (curve,) = (view for view in last.views if isinstance(view, Curve))
    (bars,) = (view for view in last.views if isinstance(view, Bars) and view.key == "chance of the answer")
    assert curve.series[0].x[0] == 0
    assert curve.series[0].y[0] == bars.values[0] == last.measured["p_answer_direct"]
    assert curve.series[0].y[-1] == bars.values[1] == last.measured["p_answer_after_thinking"]


def test_the_answer_follows_an_edited_digit(engine: Engine) -> None:
    notes = "7 + 5 = 12. 12 + 8 = 26."
    last = frames(engine, "thinking", text_wrong=notes, **QUICK)[-1]
    m: dict[str, Any] = last.measured
    assert (m["answer_with_wrong_notes"], m["edited_result"], m["answer_follows_edit"]) == ("26", "26", True)
    assert m["edited_false_steps"] == 1
    (view,) = (view for view in last.views if isinstance(view, Heatmap))
    row = view.values.tolist()[view.row_names.index("edited notes")]
    between = engine.tokenizer.encode(f"Notes: {notes}\nAnswer:")
    for name, p in zip(view.column_names, row, strict=True):
        answer = name.removesuffix(", right")
        expected = probability(engine, "What is 7 + 5 + 8?", between, f" {answer}")[0]
        assert p == pytest.approx(expected, abs=1e-3), name
    assert view.column_names[row.index(max(row))] == "26"


def test_hidden_notes_are_computed_all_the_same(engine: Engine) -> None:
    shown, hidden = (frames(engine, "thinking", hide=hide, **QUICK)[-1] for hide in (False, True))
    a: dict[str, Any] = shown.measured
    b: dict[str, Any] = hidden.measured
    assert a["tokens_shown"] == a["tokens_computed"] == b["tokens_computed"]
    assert b["tokens_shown"] == a["tokens_shown"] - 2
    assert a["answer_after_thinking"] == b["answer_after_thinking"]
    assert [any(turn.tokens for turn in exchange(last).turns) for last in (shown, hidden)] == [True, False]


def test_it_knew_and_one_false_step_of_its_own_leads_it_astray(engine: Engine) -> None:
    m = measured(engine, "thinking", "thinks itself wrong")
    assert m["answer_direct"] == m["expected"] == "18" != m["answer_after_thinking"]
    assert m["false_steps"] == 1
    assert not m["answer_was_noted"]
    assert m["p_answer_after_thinking"] < 0.1 < 0.9 < m["p_answer_with_good_notes"]
    assert m["trials"] > 0


def test_notes_can_cost_a_fact_it_knew(engine: Engine) -> None:
    m = measured(engine, "thinking", "a fact, thought away")
    assert m["answer_direct"] == "Berlin" != m["answer_after_thinking"]
    assert m["p_answer_after_thinking"] < 0.1 < 0.9 < m["p_answer_direct"]


def test_any_question_with_a_given_answer(engine: Engine) -> None:
    m = measured(engine, "thinking", text="🙂 <|im_end|>?", expected="今日", text_good="是", filler="", **QUICK)
    assert 0 <= m["p_answer_direct"] <= 1
    assert m["thinking_tokens"] <= 2
    m = measured(engine, "thinking", text="What is the capital of France?", **QUICK)
    assert m["expected_is_its_own"]
    assert m["expected"] == m["answer_direct"] == "Paris"
    with pytest.raises(InputError, match="context holds"):
        measured(engine, "thinking", text="1 + 1? " * 3000, **QUICK)
    with pytest.raises(InputError, match="the right answer has 81 tokens"):
        measured(engine, "thinking", expected="one " * 80, **QUICK)


def test_it_can_be_cancelled(engine: Engine) -> None:
    with pytest.raises(Cancelled):
        measured(engine.cancellable(lambda: True), "thinking", **QUICK)
