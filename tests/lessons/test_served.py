"""Every lesson on a server: live where it can be, a sentence where not, never more connections than it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from llm_holes.engine.backends.backend import Backend
from llm_holes.engine.backends.capabilities import Found
from llm_holes.engine.backends.key import Key
from llm_holes.engine.backends.wire import Wire
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError, ModelError
from llm_holes.engine.frames import Frame, Text, Tokens
from llm_holes.engine.ipc.address import address_of
from llm_holes.lessons import served
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.lint import LONGEST_CAPTION
from tests.support.backends import asked, served_frames
from tests.support.faulty_server import Faulty, faulty_server
from tests.support.lessons import frames
from tests.support.processes import within
from tests.support.soak import examples

LESSONS = catalog.load().lessons
LIVE = [name for name, lesson in LESSONS.items() if served.served(lesson) is not None]
QUICK: dict[str, dict[str, Any]] = {
    "prefill-decode": {"batch": 3, "max_prompt": 16, "max_new_tokens": 3},
    "tool-calls": {"trials": 1, "max_new_tokens": 8},
    "kv-cache": {"context_tokens": 20, "max_new_tokens": 2},
    "skills": {"text": "/haiku rain", "check": "count, tell it", "most": 2, "max_new_tokens": 8},
    "memory": {"turns": 2, "max_new_tokens": 2, "rival": ""},
    "thinking": {"text": "What is 2 + 2?", "thinking_tokens": 4, "trials": 0},
    "stopping": {"text_b": "Red", "max_new_tokens": 4},
    "planning": {"plan": "add milk, serve it"},
}
"""Settings with which a run that times much takes less."""


@pytest.fixture(scope="module")
def faulty() -> Iterator[Faulty]:
    with faulty_server() as server:
        yield server


@pytest.fixture(scope="module")
def vllm(faulty: Faulty) -> Iterator[Found]:
    with asked(faulty.url("vllm")) as found:
        yield found


def steps_of(lesson_id: str) -> list[dict[str, Any]]:
    """The settings of a lesson's steps, each once."""
    lesson = LESSONS[lesson_id]
    found: list[dict[str, Any]] = []
    for step in lesson.steps:
        settings = QUICK.get(lesson_id, {}) | step.settings
        if settings not in found:
            found.append(settings)
    return found


def check(backend: Backend, lesson_id: str, settings: dict[str, Any]) -> Frame:
    """Each step has its picture or a sentence, and what is promised is measured."""
    lesson, shown = LESSONS[lesson_id], served.shown(catalog.load(), backend.capabilities).get(lesson_id, [])
    last = served_frames(backend, lesson_id, **settings)[-1]
    by_key = {view.key: view for view in last.views}
    assert {step.view for step in lesson.steps} <= by_key.keys()
    assert set(last.measured) <= set(lesson.data.publishes)
    for step in lesson.steps:
        own = settings == QUICK.get(lesson_id, {}) | step.settings
        if own and step.view in shown and step.bet is not None and step.bet.measurement in shown:
            assert step.bet.measurement in last.measured
        if step.view not in shown:
            told = by_key[step.view]
            assert isinstance(told, Text)
            assert told.text.endswith(served.OFFER)
    assert last.progress is None
    assert len(last.caption) <= LONGEST_CAPTION
    return last


@pytest.mark.parametrize("lesson_id", [name for name in LESSONS if name not in LIVE])
def test_a_lesson_that_cannot_live_on_an_api_says_so_at_each_step(lesson_id: str, vllm: Found) -> None:
    last = check(vllm.backend, lesson_id, {})
    assert last.caption.startswith("An API does not show ")
    assert last.measured == {}


@pytest.mark.parametrize("lesson_id", LIVE)
def test_a_lesson_lives_on_a_server_that_can_do_much(lesson_id: str, vllm: Found, faulty: Faulty) -> None:
    live = served.served(LESSONS[lesson_id])
    assert live is not None
    assert within(2, lambda: faulty.open == 0)
    faulty.most = 0
    for settings in steps_of(lesson_id):
        check(vllm.backend, lesson_id, settings)
    assert 0 < faulty.most <= live.CONNECTIONS
    vllm.backend.wire.rest()
    assert within(2, lambda: faulty.open == 0)


@pytest.mark.parametrize("lesson_id", LIVE)
def test_a_lesson_says_what_a_server_that_only_writes_cannot_show(lesson_id: str, faulty: Faulty) -> None:
    with asked(faulty.url("good")) as found:
        check(found.backend, lesson_id, QUICK.get(lesson_id, {}))


def test_a_model_that_cannot_be_told_to_take_the_likeliest_token_is_told_of(faulty: Faulty) -> None:
    with asked(faulty.url("newest")) as found:
        last = check(found.backend, "kv-cache", QUICK["kv-cache"])
    assert [view.key for view in last.views][-1] == served.CHOSEN


@pytest.mark.parametrize("lesson_id", LIVE)
def test_an_answer_without_a_token_breaks_no_lesson(lesson_id: str, vllm: Found, faulty: Faulty) -> None:
    """As where a model ends its answer at once, and the server tells no token for that."""
    wire = Wire(address_of(faulty.url("mute")), Key())
    try:
        for settings in steps_of(lesson_id):
            with suppress(InputError, ModelError):
                check(replace(vllm.backend, wire=wire), lesson_id, settings)
    finally:
        wire.close()


@pytest.mark.parametrize("lesson_id", LIVE)
def test_a_cancelled_lesson_leaves_no_connection(lesson_id: str, vllm: Found, faulty: Faulty) -> None:
    before = sum(faulty.count.values())

    def soon() -> bool:
        return sum(faulty.count.values()) > before

    with pytest.raises(Cancelled):
        served_frames(vllm.backend.cancellable(soon), lesson_id)
    vllm.backend.wire.rest()
    assert within(2, lambda: faulty.open == 0)


@pytest.mark.parametrize("lesson_id", LIVE)
def test_a_lesson_lives_on_transformers(lesson_id: str, transformers: Found) -> None:
    check(transformers.backend, lesson_id, QUICK.get(lesson_id, {}))


SAME = {
    "what-happens": (
        "answer", "own_answer", "p_first", "first_token", "p_surest", "surest_token", "parted_at", "own_word_returns",
        "way", "stop_reason", "prompt_tokens", "message_tokens", "forced_tokens", "template_used", "tokens_read",
        "output_tokens", "next_prompt_tokens", "next_answer",
    ),
    "final-vector-to-token": (
        "top_token", "p_top1", "kept_tokens_filters_first", "kept_by_topk", "kept_by_topp", "kept_by_minp", "p_top1_b",
        "top_token_b", "kept_by_topk_b", "kept_by_topp_b", "kept_by_minp_b",
    ),
    "tokens": (
        "characters", "bytes", "tokens", "tokens_cl100k", "roundtrip_exact", "partial_tokens", "tokens_english",
        "tokens_dearest", "dearest_language", "next_token", "p_next", "p_next_after_space", "p_next_lower_case",
        "changes_tried", "changes_that_unseat", "counted_word", "letter_count", "word_tokens", "count_answer",
        "counts_right",
    ),
    "tokenization": (
        "bytes", "tokens", "greedy_longest_match_differs", "words_cut_differently", "example_real", "example_longest",
        "trained_merges", "trained_pieces_before", "trained_pieces_after", "trained_longest_piece",
        "trained_first_piece", "listed_words", "listed_vocabulary", "listed_letters", "listed_late", "text_words",
        "text_words_missing", "missing_word", "nats_by_tokens", "nats_by_bytes", "questions_by_tokens",
        "questions_by_bytes", "questions_knowing_nothing", "surprise_ratio", "pieces_by_tokens", "pieces_by_bytes",
        "bytes_as_tokens",
    ),
    "stopping": (
        "answer", "stop_reason", "p_end_at_stop", "tokens_generated", "prompt_tokens", "boundary_of_peak",
        "p_end_at_peak", "p_end_before_peak", "peak_as_asked", "names_number",
    ),
    "thinking": (
        "expected", "answer_direct", "answer_after_thinking", "answer_with_wrong_notes", "p_answer_direct",
        "p_answer_after_thinking", "p_answer_with_good_notes", "p_answer_with_wrong_notes", "p_answer_with_filler",
        "answer_follows_edit", "edited_result", "false_steps",
    ),
    "planning": (
        "plan_text", "plan_is_its_own", "called", "steps_completed", "steps_total", "p_right_step",
        "p_right_with_plan", "p_right_with_plan_again", "p_right_with_checklist", "p_right_with_next_step",
        "p_gain_by_next_step", "p_repeats_with_plan_again", "p_right_undisturbed",
        "p_right_after_lookalikes", "p_right_after_a_line", "p_right_after_a_page", "lookalike_tokens",
        "lookalikes_are_worse", "few_tokens_are_enough", "tokens_sent_again", "tokens_with_cache", "context_tokens",
        "tokens_by_model", "tokens_by_grammar", "tokens_by_software",
    ),
    "tool-calls": ("call_text", "call_parsed", "tool_result", "answer", "answer_uses_result", "ended"),
    "memory": (
        "sent_growth", "tokens_in_conversation", "p_fact_in_conversation", "p_fact_no_memory", "p_fact_alone",
        "p_fact_among_others", "p_fact_after_question", "p_fact_in_framed_system_text", "p_fact_told_last",
        "answer_with_memory", "answer_without_memory",
    ),
}  # fmt: skip
"""What a server with the same model measures as the experiment on the engine does."""
FEW = 4
"""The others, which take many requests, are for `just soak`."""


@pytest.mark.parametrize("lesson_id", [*SAME][: examples(FEW)])
def test_what_is_measured_there_is_what_is_measured_here(lesson_id: str, engine: Engine, llama: Found) -> None:
    there, here = check(llama.backend, lesson_id, {}).measured, frames(engine, lesson_id)[-1].measured
    for name in SAME[lesson_id]:
        expected = here[name]
        if isinstance(expected, str | bool):
            assert there[name] == expected, name
        else:  # a count of many tokens may end one token further on
            assert there[name] == pytest.approx(expected, abs=1e-3, rel=0.01), name


TOKENS_HERE: dict[str, dict[str, Any]] = {"tokens": {}, "tokenization": {"corpus": "a b", "train_merges": 0}}


@pytest.mark.parametrize("lesson_id", TOKENS_HERE)
def test_a_server_that_cuts_no_text_has_the_engine_s_tokens_by_the_tokenizer_here(
    lesson_id: str, engine: Engine, transformers: Found
) -> None:
    settings = TOKENS_HERE[lesson_id]
    last, here = check(transformers.backend, lesson_id, settings), frames(engine, lesson_id, **settings)[-1].measured
    both = set(last.measured) & set(SAME[lesson_id])
    assert {"tokens", "bytes"} <= both
    assert {name: last.measured[name] for name in both} == {name: here[name] for name in both}
    titles = [view.title for view in last.views if isinstance(view, Tokens)]
    assert any(title.endswith("by the tokenizer in its folder; the server counts as many") for title in titles)
    assert any(view.key == served.WHOSE for view in last.views)


def test_where_no_tokenizer_is_found_either_it_is_said_what_to_do(faulty: Faulty) -> None:
    with asked(faulty.url("good")) as found:
        last = check(found.backend, "tokenization", {"corpus": "a b", "train_merges": 0})
    told = next(view for view in last.views if view.key == "real and longest")
    assert isinstance(told, Text)
    assert "no tokenizer of tiny-0 is in the Hugging Face cache here" in told.text


@pytest.mark.parametrize("lesson_id", [name for name in LIVE if name not in [*SAME][:FEW]])
def test_a_lesson_of_times_and_calls_lives_on_llama_cpp(lesson_id: str, llama: Found) -> None:
    check(llama.backend, lesson_id, steps_of(lesson_id)[0])
