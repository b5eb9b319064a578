"""The loop around the model: same tokens with and without a cache, readable text, and every way to stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.generation.generate import Limits, Step, TextStream
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.tokenizer.tokenizer import Detokenizer

FRANCE = "What is the capital of France?"


def text(steps: list[Step]) -> str:
    return "".join(step.text for step in steps)


def steps(engine: Engine, message: str, limits: Limits, **params: object) -> list[Step]:
    return list(engine.generate(engine.chat(message), SamplingParams(**params), limits))  # type: ignore[arg-type]


def test_it_answers_and_stops_by_itself(engine: Engine) -> None:
    found = steps(engine, FRANCE, Limits(32))
    assert text(found) == "The capital of France is Paris."
    assert found[-1].stop_reason == "end token"
    assert found[-1].p_end > 0.5
    assert found[-2].p_end < 0.01
    assert [step.stop_reason for step in found[:-1]] == [None] * (len(found) - 1)


def test_the_cache_changes_no_token_and_counts_its_bytes(engine: Engine) -> None:
    cached, recomputed = (steps(engine, FRANCE, Limits(8, use_cache=use)) for use in (True, False))
    assert [s.token for s in cached] == [s.token for s in recomputed]
    prompt = len(engine.chat(FRANCE))
    assert [s.cache_bytes for s in cached] == [2 * 30 * 3 * 64 * 4 * (prompt + n) for n in range(8)]
    assert all(s.cache_bytes == 0 for s in recomputed)


def test_a_long_prompt_in_chunks_gives_the_same_next_token(engine: Engine) -> None:
    ids = engine.encode("One two three four five. " * 120)
    assert len(ids) > 512
    chunked = next(iter(engine.generate(ids, SamplingParams(), Limits(1))))
    assert chunked.token == int(engine.logits(ids, 1).argmax())


def test_banning_the_end_makes_the_answer_run_on(engine: Engine) -> None:
    banned = steps(engine, FRANCE, Limits(24), logit_bias=dict.fromkeys(engine.tokenizer.eos_ids, -torch.inf))
    assert banned[-1].stop_reason == "max tokens"
    assert text(banned).startswith("The capital of France is Paris.")
    assert banned[7].p_end > 0.5, "P(end) is the model's own, before the ban"


def test_the_same_seed_gives_the_same_sample(engine: Engine) -> None:
    runs = [
        [s.token for s in steps(engine, "Tell me a joke.", Limits(12), temperature=1.0, top_p=0.9, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("of Fra", "The capital "),
        (" is Par", "The capital of France"),
        ("The", ""),
        ("Paris.", "The capital of France is "),
        ("Parrot", "The capital of France is Paris."),
    ],
)
def test_a_stop_string_is_found_across_tokens_and_never_shown(engine: Engine, stop: str, expected: str) -> None:
    found = steps(engine, FRANCE, Limits(16, stop_strings=(stop,)))
    assert text(found) == expected
    assert found[-1].stop_reason == ("stop string" if stop != "Parrot" else "end token")


def test_a_full_context_ends_the_answer(engine: Engine) -> None:
    small = replace(engine.model, config=structs.replace(engine.model.config, n_ctx=32))
    ids = (engine.encode("hello world ") * 29)[:29]
    found = list(replace(engine, model=small).generate(ids, SamplingParams(logit_bias={2: -torch.inf}), Limits(10)))
    assert [s.stop_reason for s in found] == [None, None, "context full"]


def test_too_long_a_text_is_refused_with_the_count_and_the_limit(engine: Engine) -> None:
    with pytest.raises(InputError, match=r"10,00\d tokens.*8,192"):
        engine.encode("a b c d e " * 2000)
    with pytest.raises(InputError, match="no text"):
        engine.encode("")


def test_stop_ends_a_generation_within_a_layer(engine: Engine) -> None:
    asked = iter([False] * 100 + [True] * 1000)
    generation: Iterator[Step] = engine.cancellable(lambda: next(asked)).generate(
        engine.chat(FRANCE), SamplingParams(), Limits(16)
    )
    assert len([next(generation) for _ in range(3)]) == 3
    with pytest.raises(Cancelled):
        next(generation)
    assert sum(1 for _ in asked) == 999


@given(st.text(max_size=60))
def test_shown_text_is_the_text_whatever_it_is(engine: Engine, written: str) -> None:
    out = TextStream(Detokenizer(engine.tokenizer), ("never-there",))
    ids = engine.tokenizer.encode(written)
    assert "".join([out.feed(i) for i in ids] + [out.flush()]) == engine.tokenizer.decode(ids)


@given(st.text("ab", max_size=30), st.text("ab", min_size=1, max_size=4))
def test_a_stop_string_cuts_where_it_first_appears(engine: Engine, written: str, stop: str) -> None:
    out = TextStream(Detokenizer(engine.tokenizer), (stop,))
    shown = ""
    for i in engine.tokenizer.encode(written):
        shown += out.feed(i)
        if out.stopped:
            break
    else:
        shown += out.flush()
    assert shown == written.partition(stop)[0]
    assert out.stopped == (stop in written)
