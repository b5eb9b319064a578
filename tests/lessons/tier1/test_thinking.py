"""Thinking: what stands between question and answer decides, checked by scoring whole texts one by one."""

from __future__ import annotations

from typing import Any

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Tokens
from llm_holes.lessons.tier1.thinking.sums import MISTAKE, conversation, drawn
from tests.support.lessons import frames, measured

QUICK: dict[str, Any] = {"trials": 0, "thinking_tokens": 2}


def probability(engine: Engine, question: str, between: list[int], wanted: str) -> tuple[float, bool]:
    """Of `wanted` behind the prompt and `between`, in one pass without a cache; and whether it is the likeliest."""
    ids = engine.tokenizer.encode(wanted)
    prompt = engine.tokenizer.chat_ids(conversation(question)) + between
    logits = engine.logits(prompt + ids, len(ids) + 1)[:-1]
    return float(logits.softmax(-1)[range(len(ids)), ids].prod()), logits.argmax(-1).tolist() == ids


def test_each_probability_is_that_of_the_whole_text(engine: Engine) -> None:
    found = frames(engine, "thinking")[-1]
    m, encode = found.measured, engine.tokenizer.encode
    strip = next(v for v in found.views if isinstance(v, Tokens) and "as it wrote" in v.title)
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


def test_it_thinks_itself_wrong_and_says_so(engine: Engine) -> None:
    m = measured(engine, "thinking", "thinks itself wrong")
    assert m["answer_after_thinking"] != m["expected"] == "15"
    assert m["p_answer_after_thinking"] < 0.1 < 0.9 < m["p_answer_with_good_notes"]


def test_notes_can_cost_a_fact_it_knew(engine: Engine) -> None:
    m = measured(engine, "thinking", "a fact, thought away")
    assert m["answer_direct"] == "Berlin" != m["answer_after_thinking"]
    assert m["p_answer_after_thinking"] < 0.1 < 0.9 < m["p_answer_direct"]


def test_any_question_with_a_given_answer(engine: Engine) -> None:
    m = measured(engine, "thinking", text="🙂 <|im_end|>?", expected="今日", text_good="是", filler="", **QUICK)
    assert 0 <= m["p_answer_direct"] <= 1
    assert m["thinking_tokens"] <= 2
    with pytest.raises(InputError, match="right answer is not known"):
        measured(engine, "thinking", text="Why?", **QUICK)
    with pytest.raises(InputError, match="context holds"):
        measured(engine, "thinking", text="1 + 1? " * 3000, **QUICK)


def test_it_can_be_cancelled(engine: Engine) -> None:
    with pytest.raises(Cancelled):
        measured(engine.cancellable(lambda: True), "thinking", **QUICK)
