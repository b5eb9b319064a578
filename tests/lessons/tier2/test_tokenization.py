"""What the tokenization lesson claims about the learner's text."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Curve, Frame, MergeTree, Table, View
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from llm_holes.tui.draw.merge_tree import nodes_of
from tests.support.lessons import frames, measured


def view(frame: Frame, key: str) -> View:
    return next(view for view in frame.views if view.key == key)


def tree(frame: Frame) -> MergeTree:
    found = view(frame, "the tree")
    assert isinstance(found, MergeTree)
    return found


def tops(found: MergeTree) -> list[bytes]:
    """What the tree ends in: the nodes without a parent, in the order of the word."""
    nodes, joined = nodes_of(found), {n for join in found.joins for n in (join.left, join.right)}
    assert len(nodes) == len(found.leaves) + len(found.joins)
    word = b"".join(leaf.data for leaf in found.leaves)
    return sorted((node.data for n, node in enumerate(nodes) if n not in joined), key=word.find)


def test_ids_and_cuts(engine: Engine) -> None:
    m = measured(engine, "tokenization")
    text = "The unthinkable pothole by the seashore"
    assert m["token_ids"] == engine.tokenizer.encode(text)
    assert m["matches_reference_tokenizer"] is True
    assert m["matches_tiktoken"] is True
    assert m["merges_applied"] == len(text) - len(m["token_ids"])
    assert (m["pre_tokens"], m["words_cut_differently"]) == (6, 3)
    assert (m["example_real"], m["example_longest"]) == ("·un|think|able", "·unt|hin|ka|ble")


def test_the_tree_of_each_word_ends_in_its_tokens(engine: Engine) -> None:
    words = {2: b" unthinkable", 3: b" pothole", 6: b" seashore", 99: b" seashore"}
    for number, word in words.items():
        last = frames(engine, "tokenization", word=number, train_merges=0)[-1]
        found = tree(last)
        assert b"".join(leaf.data for leaf in found.leaves) == word
        assert tops(found) == [engine.tokenizer.token_bytes(i) for i in engine.tokenizer.encode(word.decode())]
        assert found.shown == len(found.joins) == last.measured["steps"]


def test_the_pair_that_stands_highest_in_the_list_joins_next(engine: Engine) -> None:
    ranks = [join.rank for join in tree(frames(engine, "tokenization", word=3, train_merges=0)[-1]).joins]
    assert ranks == [22, 39, 69, 538, 1496]
    for done, rank in enumerate(ranks):
        table = view(frames(engine, "tokenization", word=3, step=done, train_merges=0)[-1], "neighbours")
        assert isinstance(table, Table)
        assert table.marked is not None
        assert int(str(table.rows[table.marked][2]).replace(",", "")) == rank
        assert len(table.rows) == len(b" pothole") - 1 - done
    done_table = view(frames(engine, "tokenization", word=3, train_merges=0)[-1], "neighbours")
    assert isinstance(done_table, Table)
    assert done_table.marked is None
    assert {row[2] for row in done_table.rows} == {"not on the list"}


def test_on_most_words_longest_match_looks_right(engine: Engine) -> None:
    m = measured(engine, "tokenization", "words that agree")
    assert m["greedy_longest_match_differs"] is False
    assert m["example_real"] != m["example_longest"], "the example is then found elsewhere"


def test_the_telling_pairs_are_learnt_first(engine: Engine) -> None:
    found = frames(engine, "tokenization")
    bars = view(found[-1], "learnt just now")
    assert isinstance(bars, Bars)
    assert bars.labels[:2] == ("1. · + t", "2. h + e")
    assert "9. ·t + he" in bars.labels
    assert list(bars.values) == sorted(bars.values, reverse=True)
    assert (
        len({len(v.labels) for f in found for v in f.views if v.key == "learnt just now" and isinstance(v, Bars)}) > 2
    )
    m = found[-1].measured
    assert m["trained_pieces_after"] < m["trained_pieces_before"]  # type: ignore[operator]


def test_a_list_of_words_never_ends_and_lacks_what_you_write(engine: Engine) -> None:
    curve, m = view(frames(engine, "tokenization")[-1], "the list of words"), measured(engine, "tokenization")
    assert isinstance(curve, Curve)
    words, letters = curve.series
    assert words.y[-1] == m["listed_vocabulary"] > words.y[-len(words.y) // 10]
    assert letters.y[-1] == m["listed_letters"] == 26 == letters.y[len(letters.y) // 2] + 2
    assert (m["text_words"], m["text_words_missing"], m["missing_word"]) == (6, 3, "unthinkable")
    own = measured(engine, "tokenization", corpus="The unthinkable pothole by the seashore", train_merges=0)
    assert own["text_words_missing"] == 0


def test_cut_into_bytes_the_text_is_noise_to_the_model(engine: Engine) -> None:
    m = measured(engine, "tokenization")
    start, text = engine.tokenizer.encode("\n"), "The unthinkable pothole by the seashore"
    single = [engine.tokenizer.encode(letter)[0] for letter in text]
    for ids, name in ((engine.tokenizer.encode(text), "nats_by_tokens"), (single, "nats_by_bytes")):
        chances = engine.logits([*start, *ids])[:-1].log_softmax(-1)
        by_hand = -sum(float(chances[n, i]) for n, i in enumerate(ids))
        assert m[name] == pytest.approx(by_hand, rel=1e-4)
    assert m["bytes_as_tokens"] == len(single) == 39
    assert m["questions_by_bytes"] > m["questions_knowing_nothing"] == 8 * 39 > m["questions_by_tokens"]
    assert m["surprise_ratio"] > 4 > measured(engine, "tokenization", "bytes")["surprise_ratio"] > 1.5
    assert measured(engine, "tokenization", "nothing to join")["surprise_ratio"] == pytest.approx(1)


def test_the_picture_of_guessing_ends_at_what_was_measured(engine: Engine) -> None:
    last = frames(engine, "tokenization")[-1]
    curve = view(last, "guessing")
    assert isinstance(curve, Curve)
    tokens, single, blind = curve.series
    assert tokens.x[-1] == single.x[-1] == blind.x[-1] == 39
    assert round(tokens.y[-1]) == last.measured["questions_by_tokens"]
    assert round(single.y[-1]) == last.measured["questions_by_bytes"]


@pytest.mark.parametrize("text", ["a", "🙂", " ", "今天天气很好", "x" * 6000, "\n\n\n", "word " * 3000], ids=range(7))
def test_any_text(engine: Engine, text: str) -> None:
    m = measured(engine, "tokenization", text=text, train_merges=5)
    assert m["token_ids"] == engine.tokenizer.encode(text)
    assert m["matches_reference_tokenizer"] is True
    assert 0 < m["pieces_by_bytes"] <= 400
    assert torch.isfinite(torch.tensor([m["nats_by_tokens"], m["nats_by_bytes"]])).all()


def test_a_dropped_byte_is_counted(engine: Engine) -> None:
    m = measured(engine, "tokenization", text="before\x16after", train_merges=0)
    assert (m["bytes_dropped"], m["bytes_as_tokens"]) == (1, 11)
    only = measured(engine, "tokenization", text="\x16" * 401 + "a", train_merges=0)
    assert (only["pieces_by_bytes"], only["surprise_ratio"]) == (0, 1)


def test_learning_can_be_cancelled(engine: Engine) -> None:
    lesson = catalog.load()["tokenization"]
    stop = False
    run = catalog.experiment(lesson).run(engine.cancellable(lambda: stop), validated(lesson, {}, engine.info))
    next(run)
    stop = True
    with pytest.raises(Cancelled):
        next(run)


def test_play_grows_the_tree_merge_by_merge(engine: Engine) -> None:
    found = frames(engine, "tokenization", "play them")
    played = [frame for frame in found if frame.caption.startswith("After ")]
    assert [tree(frame).shown for frame in played] == list(range(len(played)))
    assert len(played) == found[-1].measured["steps"] == tree(found[-1]).shown
    assert [frame.measured["step"] for frame in played] == list(range(len(played)))
