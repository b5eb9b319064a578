"""What the lesson says of scales, of the file's own blocks, of the cache and of bytes against quality."""

from __future__ import annotations

import pytest

from llm_holes.engine.checkpoint.gguf import q4_1_blocks
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, NumberLine, Table, View
from llm_holes.engine.surgery.operations import QuantizedWeights
from tests.support.lessons import frames, measured

ID = "quantization"


def shown(engine: Engine, key: str, preset: str = "") -> View:
    return next(view for view in frames(engine, ID, preset)[-1].views if view.key == key)


def test_the_reach_of_the_scale_matters_more_than_the_bits(engine: Engine) -> None:
    tensor, channel, group = (measured(engine, ID, p) for p in ("4 bits, one scale", "", "4 bits in groups"))
    assert tensor["kl_nats"] > 3 * channel["kl_nats"] > 3 * group["kl_nats"]
    assert tensor["bits_per_weight"] < channel["bits_per_weight"] < group["bits_per_weight"] == 4.5
    assert group["perplexity_ratio"] < 2


def test_two_bits_are_useless(engine: Engine) -> None:
    m = measured(engine, ID, "2 bits")
    assert m["perplexity_ratio"] > 50
    assert m["size_ratio"] < 0.1


def test_the_files_own_blocks_are_those_in_memory(engine: Engine) -> None:
    """The first block of the file, multiplied out, is the beginning of the loaded row."""
    (scale, minimum, codes), *_ = q4_1_blocks(engine.files.gguf, "blk.0.attn_v.weight", 1)
    row = engine.model.weights["model.layers.0.self_attn.v_proj.weight"][0, :32]
    assert [scale * code + minimum for code in codes] == pytest.approx(row.tolist(), abs=1e-6)
    m = measured(engine, ID, "4 bits for nothing?")
    assert m["levels_per_32_weights"] == 16
    assert m["quantized_kernel"] == "int4"
    blocks = shown(engine, "the file", "4 bits for nothing?")
    assert isinstance(blocks, Table)
    assert "in the file itself" in blocks.title
    assert blocks.rows[0][2] == " ".join(f"{code:x}" for code in codes)


def test_keys_mind_four_bits_and_values_do_not_unless_a_place_has_its_own_scale(engine: Engine) -> None:
    names = ("only the keys, 4 bits", "only the values, 4 bits", "keys, a scale per place")
    keys, values, places = (measured(engine, ID, name) for name in names)
    assert keys["kl_nats"] > 5 * values["kl_nats"]
    assert keys["kl_nats"] > 4 * places["kl_nats"]
    assert all(m["weight_bytes"] == m["weight_bytes_fp32"] for m in (keys, values, places)), "no weight is rounded"
    vectors, codes = 30 * 3, 30 * 3 * 64 // 2
    whole = vectors * 64 * 4
    assert keys["kv_bytes_per_token_quantized"] == whole + codes + 2 * vectors
    assert places["kv_bytes_per_token_quantized"] == whole + codes, "a place's scale serves all tokens"
    assert keys["kv_bytes_per_token"] == 2 * whole
    assert keys["quantized_kernel"].startswith("no kernel")


def test_formats_with_levels_near_zero_do_better_with_the_same_bits(engine: Engine) -> None:
    nf4, ints = (measured(engine, ID, name) for name in ("NF4 in groups", "4 bits in groups"))
    assert (nf4["bits"], nf4["bits_per_weight"]) == (4, ints["bits_per_weight"])
    assert nf4["kl_nats"] < 0.8 * ints["kl_nats"]
    assert measured(engine, ID, "FP8, one scale")["perplexity_ratio"] < 1.05


def test_the_rungs_are_what_is_left_of_the_weights_that_share_a_scale(engine: Engine) -> None:
    tensor, group = (shown(engine, "rungs", name) for name in ("4 bits, one scale", "4 bits in groups"))
    assert isinstance(tensor, NumberLine)
    assert isinstance(group, NumberLine)
    assert (sum(tensor.counts), sum(group.counts)) == (192 * 576, 32)
    assert len(tensor.rungs) == len(group.rungs) == 15
    largest = tensor.marked[0][1]
    assert max(abs(rung) for rung in tensor.rungs) == pytest.approx(abs(largest), rel=1e-4)
    zeros = [measured(engine, ID, name)["rounded_to_zero_share"] for name in ("4 bits, one scale", "", "8 bits")]
    assert zeros[0] > zeros[1] > zeros[2]


def test_answers_are_long_enough_to_read_and_what_rests_on_four_bit_blocks_says_so(engine: Engine) -> None:
    answers = shown(engine, "two answers")
    assert isinstance(answers, Diff)
    assert len(answers.before.split()) > 8
    price, eight = shown(engine, "the price"), shown(engine, "the price", "8 bits")
    assert isinstance(price, Table)
    assert isinstance(eight, Table)
    assert "4-bit blocks" in price.title
    assert "4-bit blocks" not in eight.title


def test_the_ladder_lists_every_way_and_stars_the_best(engine: Engine) -> None:
    ladder = shown(engine, "the whole ladder", "the whole ladder")
    assert isinstance(ladder, Table)
    sizes = [float(row[2]) for row in ladder.rows]
    assert len(sizes) == 12
    assert sizes == sorted(sizes)
    starred = [row[1] for row in ladder.rows if row[0] == "*"]
    assert sorted(starred) == sorted(measured(engine, ID, "the whole ladder")["pareto_front"])
    kl = {row[1]: float(row[4]) for row in ladder.rows}
    assert "4 bits per tensor" not in starred or kl["4 bits per tensor"] < kl["3 bits per group, asymmetric"]
    assert kl["8 bits per channel"] < kl["4 bits per group"] < kl["2 bits per group, asymmetric"]
    noted = {row[1] for row in ladder.rows if "4-bit blocks" in str(row[5])}
    four = {"4 bits per tensor", "4 bits per channel", "4 bits per group", "4 bits per group, asymmetric"}
    assert noted == four | {"FP4 per group", "NF4 per group"}
    assert measured(engine, ID)["pareto_front"] == []


@pytest.mark.parametrize("preset", ["", "8 bits", "2 bits", "the whole ladder"])
def test_undo_is_exact(engine: Engine, preset: str) -> None:
    assert measured(engine, ID, preset)["undo_bit_identical"] is True


def test_bits_counted_with_their_scales(engine: Engine) -> None:
    shape = engine.model.weights["model.layers.0.mlp.up_proj.weight"].shape
    assert QuantizedWeights(3, "channel").stored_bytes(shape) == 1536 * 576 * 3 // 8 + 1536 * 2
