"""What the tokenization lesson claims about the learner's text."""

from __future__ import annotations

from itertools import pairwise

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Frame, Table, Tokens
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from tests.support.lessons import frames, measured


def strip(frame: Frame) -> list[bytes]:
    tokens = frame.views[0]
    assert isinstance(tokens, Tokens)
    return [token.data for token in tokens.tokens]


def test_ids_and_cuts(engine: Engine) -> None:
    m = measured(engine, "tokenization")
    text = "The unthinkable pothole by the seashore"
    assert m["token_ids"] == engine.tokenizer.encode(text)
    assert m["matches_reference_tokenizer"] is True
    assert m["matches_tiktoken"] is True
    assert m["merges_applied"] == len(text) - len(m["token_ids"]) == m["steps"]
    assert (m["pre_tokens"], m["words_cut_differently"]) == (6, 3)
    assert (m["example_real"], m["example_longest"]) == (" un|think|able", " unt|hin|ka|ble")


def test_on_most_words_longest_match_looks_right(engine: Engine) -> None:
    m = measured(engine, "tokenization", "words that agree")
    assert m["greedy_longest_match_differs"] is False
    assert m["example_real"] != m["example_longest"], "the example is then found elsewhere"


def test_each_step_joins_two_neighbours(engine: Engine) -> None:
    seen = [strip(frames(engine, "tokenization", text=" pothole", step=n, train_merges=0)[-1]) for n in range(7)]
    assert seen[0] == [bytes([byte]) for byte in b" pothole"]
    assert seen[5] == seen[6] == [b" p", b"oth", b"ole"]
    for before, after in pairwise(seen[:6]):
        assert len(after) == len(before) - 1
        assert b"".join(after) == b" pothole"


def test_the_vocabulary_grows_as_it_is_learnt(engine: Engine) -> None:
    found = frames(engine, "tokenization")
    sizes = [v.rows[-1][0] for f in found for v in f.views if isinstance(v, Table) and "learnt just now" in v.title]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 3
    m = found[-1].measured
    assert m["trained_pieces_after"] < m["trained_pieces_before"]


@pytest.mark.parametrize("text", ["a", "🙂", " ", "今天天气很好", "x" * 6000, "\n\n\n", "word " * 3000], ids=range(7))
def test_any_text(engine: Engine, text: str) -> None:
    m = measured(engine, "tokenization", text=text, train_merges=5)
    assert m["token_ids"] == engine.tokenizer.encode(text)
    assert m["matches_reference_tokenizer"] is True


def test_a_dropped_byte_is_counted(engine: Engine) -> None:
    assert measured(engine, "tokenization", text="before\x16after", train_merges=0)["bytes_dropped"] == 1


def test_learning_can_be_cancelled(engine: Engine) -> None:
    lesson = catalog.load()["tokenization"]
    stop = False
    run = catalog.experiment(lesson).run(engine.cancellable(lambda: stop), validated(lesson, {}, engine.info))
    next(run)
    stop = True
    with pytest.raises(Cancelled):
        next(run)


def test_play_shows_every_merge_in_turn(engine: Engine) -> None:
    played = [frame for frame in frames(engine, "tokenization", "play them") if frame.caption.startswith("After ")]
    steps = [frame.measured["step"] for frame in played]
    assert steps == list(range(len(steps)))
    assert len(steps) == played[-1].measured["steps"] + 1
    counts = [len(strip(frame)) for frame in played]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == len(counts), "each merge makes one piece out of two"
