"""Continuations of a shared beginning are what the whole texts would give, one by one."""

from __future__ import annotations

import torch

from llm_holes.engine.generation.continuations import common, greedy_continuations, prefill, read, score_continuations
from llm_holes.engine.model.decoder import Decoder

START = [3, 14, 15, 9, 26]
TEXTS = [[5, 35], [8, 9, 7], [9, 3]]
WANTED = [[2, 3], [8], [4, 6]]


def test_scores_are_those_of_the_whole_text(tiny: Decoder) -> None:
    start = prefill(tiny, START)
    found = score_continuations(tiny, start, TEXTS, WANTED)
    assert start.length == len(START)
    for score, text, wanted in zip(found, TEXTS, WANTED, strict=True):
        logits = tiny.forward(torch.tensor([START + text + wanted])).logits[0, -len(wanted) - 1 :]
        p = logits.softmax(-1)[range(len(wanted)), wanted].prod()
        assert abs(score.p - p) < 1e-6
        assert score.chosen == (logits[:-1].argmax(-1).tolist() == wanted)
        assert score.after == logits[-1].argmax()


def test_what_each_text_follows_may_be_its_own(tiny: Decoder) -> None:
    start = prefill(tiny, START)
    begun = read(tiny, start, TEXTS)
    assert [cache.length for cache in (start, *begun)] == [5, 7, 8, 7]
    ends = [[1], [1], [2]]
    whole = [text + end for text, end in zip(TEXTS, ends, strict=True)]
    for one, other in zip(
        score_continuations(tiny, begun, ends, WANTED), score_continuations(tiny, start, whole, WANTED), strict=True
    ):
        assert abs(one.p - other.p) < 1e-6
        assert (one.chosen, one.after) == (other.chosen, other.after)
    written = greedy_continuations(tiny, begun, ends, 4, lambda token: False)
    assert written == greedy_continuations(tiny, start, whole, 4, lambda token: False)


def test_written_alone_or_side_by_side_is_the_same(tiny: Decoder) -> None:
    start = prefill(tiny, START)
    together = greedy_continuations(tiny, start, TEXTS, 6, lambda token: False)
    for text, found in zip(TEXTS, together, strict=True):
        ids = START + text
        for _ in range(6):
            ids.append(int(tiny.forward(torch.tensor([ids])).logits[0, -1].argmax()))
        assert found == ids[-6:]
        assert score_continuations(tiny, start, [text], [found])[0].chosen
    end = together[0][3]
    stopped = greedy_continuations(tiny, start, TEXTS, 6, lambda token: token == end)
    assert stopped[0] == together[0][: together[0].index(end)]


def test_a_truncated_cache_forgets(tiny: Decoder) -> None:
    cache = prefill(tiny, START)
    tiny.forward(torch.tensor([[1, 2, 3]]), cache)
    cache.truncate(len(START))
    expected = tiny.forward(torch.tensor([[*START, 7]])).logits[0, -1]
    assert torch.allclose(tiny.forward(torch.tensor([[7]]), cache).logits[0, -1], expected, atol=1e-5)


def test_what_texts_have_in_common_leaves_each_something() -> None:
    assert common([[1, 2, 3], [1, 2, 4, 5]]) == 2
    assert common([[1, 2], [1, 2, 3]]) == 1
    assert common([[7, 8, 9]]) == 2
    assert common([[1], [2]]) == 0
