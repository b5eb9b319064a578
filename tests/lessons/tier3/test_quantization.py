"""What the lesson says of scales, of the file's own blocks, of the cache and of bytes against quality."""

from __future__ import annotations

import pytest

from llm_holes.engine.checkpoint.gguf import q4_1_blocks
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Table
from llm_holes.engine.surgery.operations import QuantizedWeights
from tests.support.lessons import frames, measured

ID = "quantization"


def tables(engine: Engine, preset: str) -> list[Table]:
    return [view for view in frames(engine, ID, preset)[-1].views if isinstance(view, Table)]


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
    blocks = tables(engine, "4 bits for nothing?")[-1]
    assert "in the file itself" in blocks.title
    assert blocks.rows[0][2] == " ".join(f"{code:x}" for code in codes)


def test_the_cache_alone_rounded(engine: Engine) -> None:
    m, eight = (measured(engine, ID, p) for p in ("8 bits, and 4 for the cache", "8 bits"))
    assert m["weight_bytes"] == eight["weight_bytes"]
    assert m["kv_bytes_per_token_quantized"] == 2 * 30 * 3 * (64 // 2 + 2)
    assert eight["kv_bytes_per_token_quantized"] == eight["kv_bytes_per_token"] == 2 * 30 * 3 * 64 * 4
    assert m["kl_nats"] > 5 * eight["kl_nats"]
    assert m["quantized_kernel"].startswith("no kernel")


def test_the_ladder_lists_every_way_and_stars_the_best(engine: Engine) -> None:
    ladder = tables(engine, "the whole ladder")[0]
    sizes = [row[2] for row in ladder.rows]
    assert len(sizes) == 9
    assert sizes == sorted(sizes)
    starred = [row[1] for row in ladder.rows if row[0] == "*"]
    assert sorted(starred) == sorted(measured(engine, ID, "the whole ladder")["pareto_front"])
    kl = {row[1]: row[4] for row in ladder.rows}
    assert "4 bits per tensor" not in starred or kl["4 bits per tensor"] < kl["3 bits per group, asymmetric"]
    assert kl["8 bits per channel"] < kl["4 bits per group"] < kl["2 bits per group, asymmetric"]
    assert measured(engine, ID)["pareto_front"] == []


@pytest.mark.parametrize("preset", ["", "8 bits", "2 bits", "the whole ladder"])
def test_undo_is_exact(engine: Engine, preset: str) -> None:
    assert measured(engine, ID, preset)["undo_bit_identical"] is True


def test_bits_counted_with_their_scales(engine: Engine) -> None:
    shape = engine.model.weights["model.layers.0.mlp.up_proj.weight"].shape
    assert QuantizedWeights(3, "channel").stored_bytes(shape) == 1536 * 576 * 3 // 8 + 1536 * 2
