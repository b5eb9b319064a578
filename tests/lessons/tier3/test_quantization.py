"""What the lesson says of scales, of the file's own blocks, of the cache and of bytes against quality."""

from __future__ import annotations

from typing import Any

import pytest

from llm_holes.engine.checkpoint.gguf import q4_1_blocks
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Curve, Diff, NumberLine, Table, View
from llm_holes.engine.surgery.operations import QuantizedWeights
from llm_holes.lessons.tier3.quantization.bit_fields import WIDTHS, held, typed_number
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


def test_every_number_is_made_of_the_bits_that_are_drawn() -> None:
    """Sign, exponent and digits, put together by the definition of the format, are the number that is read back."""
    biases = {"FP32": 127, "BF16": 127, "FP8 E5M2": 15, "FP8 E4M3": 7, "FP4": 1}
    for name, bias in biases.items():
        for x in (0.1, -3.0, 0.0001, 24_024.0, 5.75):
            found = held(x, name)
            digits = int(found.digits, 2) / 2 ** WIDTHS[name][1]
            exponent = int(found.exponent, 2)
            size = (1 + digits) * 2.0 ** (exponent - bias) if exponent else digits * 2.0 ** (1 - bias)
            assert (-1) ** int(found.sign) * size == pytest.approx(found.value, rel=1e-6), (name, x)
    assert (held(0.1, "FP8 E4M3").value, held(0.1, "FP4").value) == (0.1015625, 0)
    assert (held(-5.2, "INT8"), held(1.0, "NF4").digits) == (("1", "", "1111011", -5.0), "1111")
    assert held(24_024.0, "FP8 E4M3").value == 448
    with pytest.raises(InputError, match="one number"):
        typed_number("1 2")


def test_fp8_without_a_scale_lives_in_one_unit_and_dies_in_another(engine: Engine) -> None:
    no_scale = {"format": "FP8 E4M3", "granularity": "nothing"}
    ruined = measured(engine, ID, "", **no_scale, factor="1/1000", max_new_tokens=3)
    assert ruined["changed_share"] > 0.9
    assert ruined["perplexity_quantized"] == pytest.approx(engine.info.d_vocab, rel=0.01), "it knows nothing"
    same_unit = measured(engine, ID, "", **no_scale, max_new_tokens=3)
    reaches_lower = measured(engine, ID, "thousandths in E5M2")
    assert same_unit["changed_share"] < reaches_lower["changed_share"] < 0.3
    assert measured(engine, ID, "thousandths in BF16")["changed_share"] < 0.02


def test_formats_stand_side_by_side_and_those_of_four_bits_carry_a_star(engine: Engine) -> None:
    last = frames(engine, ID, compare="formats", max_new_tokens=3)[-1]
    kl = last.measured["kl_by_format"]
    assert isinstance(kl, dict)
    order = ["BF16", "INT8", "FP8 E4M3", "FP8 E5M2", "NF4", "INT4"]
    assert [kl[name] for name in order] == sorted(kl[name] for name in order)
    bars = next(view for view in last.views if view.key == "formats")
    assert isinstance(bars, Bars)
    assert "4-bit blocks" in bars.title
    assert [label.endswith("*") for label in bars.labels] == [False] * 4 + [True] * 3 + [False]
    assert bars.marked == 7


def test_one_number_of_the_stream_is_too_large_for_fp8_and_stretches_the_ladder_for_all_others(engine: Engine) -> None:
    last = frames(engine, ID, compare="stream", part="none", max_new_tokens=3)[-1]
    m: dict[str, Any] = last.measured
    assert m["activation_max"] == pytest.approx(24_024, abs=50)
    assert m["kl_activations_unscaled"] > 5
    assert m["changed_share_one_scale"] > 0.8 > 0.3 > m["changed_share_per_token"]
    curve = next(view for view in last.views if view.key == "the stream")
    assert isinstance(curve, Curve)
    largest, end, typical = curve.series
    assert max(largest.y) == m["activation_max"]
    assert set(end.y) == {448}
    assert max(typical.y) < 20


def test_keys_and_values_stand_side_by_side(engine: Engine) -> None:
    m = measured(engine, ID, compare="cache", part="none", max_new_tokens=3)
    assert m["kl_by_cache"]["keys, a scale for each"] == pytest.approx(
        measured(engine, ID, "only the keys, 4 bits")["kl_nats"], rel=1e-3
    )
    assert m["changed_share_keys"] > 2 * max(m["changed_share_keys_per_place"], m["changed_share_values"])


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
