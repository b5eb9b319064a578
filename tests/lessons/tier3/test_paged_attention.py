"""What the lesson on paged attention claims: where memory goes, what is shared, and that the model reads the same."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Blocks, Curve, Timeline, Tokens, View
from llm_holes.engine.generation.batched import answers
from llm_holes.engine.measure import Timing
from llm_holes.engine.model.decoder import Decoder
from llm_holes.lessons.tier3.paged_attention.batch_pace import in_time, ms_for, total_ms
from tests.support.lessons import frames, measured


@pytest.mark.slow
def test_answers_side_by_side_are_those_written_alone(tiny: Decoder) -> None:
    prompts = [[3, 14, 15, 9], [26, 5], [3, 14, 15, 9]]
    *_, found = answers(tiny, prompts, [0, 0, 1], 7, lambda token: False)
    for prompt, answer in zip(prompts, found, strict=True):
        ids, rank = list(prompt), 1 if answer is found[2] else 0
        for _ in range(7):
            ids.append(int(tiny.forward(torch.tensor([ids])).logits[0, -1].topk(rank + 1).indices[-1]))
            rank = 0
        assert answer == ids[-7:]
    end = found[0][2]
    *_, stopped = answers(tiny, prompts, [0, 0, 1], 7, lambda token: token == end)
    assert stopped[0] == found[0][: found[0].index(end) + 1]


def view(engine: Engine, key: str) -> View:
    return next(view for view in frames(engine, "paged-attention")[-1].views if view.key == key)


def test_blocks_admit_more_and_waste_less_and_change_no_token(engine: Engine) -> None:
    m = measured(engine, "paged-attention")
    assert m["admitted_ratio"] == m["admitted_paged"] / m["admitted_contiguous"] == 13
    assert m["admitted_contiguous"] == 1024 // m["reserved_positions"]
    assert m["waste_paged"] < 0.4 < 0.6 < m["waste_contiguous"]
    assert m["prefix_blocks_shared"] > 0
    assert m["tokens_equal"] is True
    assert m["logits_max_abs_diff"] < 1e-4
    assert min(m["answer_tokens"]) < max(m["answer_tokens"])
    picture, stretches = view(engine, "in blocks"), view(engine, "in stretches")
    assert isinstance(picture, Blocks)
    assert isinstance(stretches, Blocks)
    assert len(picture.tables) == m["admitted_paged"]
    assert any(len(block.owners) > 1 for block in picture.blocks)
    assert all(len(block.owners) <= 1 for block in stretches.blocks)


def test_the_answer_is_read_through_a_table_out_of_order_that_shares_a_beginning(engine: Engine) -> None:
    picture, wrote = view(engine, "through the table"), view(engine, "what both wrote")
    assert isinstance(picture, Blocks)
    first, own = picture.tables
    assert (first.name, own.name) == ("a", "b")
    assert own.blocks[:2] == first.blocks[:2]
    assert own.blocks[2] != first.blocks[2]
    assert list(own.blocks) != sorted(own.blocks)
    assert isinstance(wrote, Tokens)
    assert b"".join(token.data for token in wrote.tokens).decode() in picture.title


def test_presets_show_what_they_promise(engine: Engine) -> None:
    large = measured(engine, "paged-attention", "one block for everything")
    assert large["admitted_paged"] == large["admitted_contiguous"]
    assert large["waste_paged"] == pytest.approx(large["waste_contiguous"])
    assert large["paged_speedup"] == pytest.approx(1)
    assert large["tokens_computed_twice"] == 0
    assert measured(engine, "paged-attention", "one position per block")["waste_paged"] == 0
    little = measured(engine, "paged-attention", "too little memory")
    assert little["preemptions"] > 0
    assert little["tokens_computed_twice"] > little["preemptions"]
    split = measured(engine, "paged-attention", "two answers each")
    assert split["copies_on_write"] > 0
    assert len(split["answer_tokens"]) == 2 * len(split["prompt_tokens"])


def test_far_more_requests_at_once_write_more_tokens_a_second_but_not_as_many_times_more(engine: Engine) -> None:
    m = measured(engine, "paged-attention")
    assert m["tok_per_s_paged"] / m["tok_per_s_contiguous"] == pytest.approx(m["paged_speedup"])
    assert 1.2 < m["paged_speedup"] < 9 < m["admitted_ratio"]
    picture, curve = view(engine, "whole stream"), view(engine, "tokens per second")
    assert isinstance(picture, Timeline)
    assert isinstance(curve, Curve)
    drawn = {row.name: sum(s.ms for s in row.stretches) for row in picture.rows}
    assert drawn["in stretches"] == pytest.approx(m["stream_ms_contiguous"])
    assert drawn["in blocks"] == pytest.approx(m["stream_ms_paged"])
    assert [mark.x for mark in curve.marks] == [m["texts_at_once_contiguous"], m["texts_at_once_paged"]]


def test_a_pass_between_two_that_were_timed_lies_between_them() -> None:
    found = {n: Timing(2 * ms, ms, 3 * ms) for n, ms in ((1, 10.0), (4, 16.0), (8, 32.0))}
    assert [ms_for(found, n) for n in (0, 1, 2, 4, 6, 8, 16)] == [0, 10, 12, 16, 24, 32, 64]
    written = (2, 2, 0, 1)
    assert total_ms(found, written) == 34
    assert [(s.name, s.ms) for s in in_time("in blocks", found, written).stretches] == [
        ("2 at once", 24),
        ("1 at once", 10),
    ]


def test_the_first_block_map_played_is_empty_and_small_memories_are_refused(engine: Engine) -> None:
    shown = frames(engine, "paged-attention", play=True, speed=100)
    first = next(view for frame in shown for view in frame.views if isinstance(view, Blocks))
    assert not any(block.owners for block in first.blocks)
    with pytest.raises(InputError, match="the memory holds 64"):
        frames(engine, "paged-attention", memory=64)
