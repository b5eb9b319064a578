"""Each format has the numbers its definition says, and rounding gives the nearest of them."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.errors import InputError
from llm_holes.engine.model.number_formats import FORMATS, Format, cast, format_bytes, levels, rounded

W = torch.randn(8, 64, generator=torch.Generator().manual_seed(2))


def test_the_numbers_of_a_format_are_those_of_its_definition() -> None:
    assert levels("FP4").tolist() == [-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert (float(levels("FP8 E4M3").max()), float(levels("FP8 E5M2").max())) == (448, 57344)
    assert len(levels("NF4")) == 16
    assert 0 in levels("NF4").tolist()
    assert all(torch.equal(levels(f), levels(f).sort().values) for f in FORMATS if f != "BF16")


@pytest.mark.parametrize("format", [f for f in FORMATS if f != "BF16"])
def test_each_number_becomes_the_nearest_of_its_blocks_levels(format: Format) -> None:
    blocks = W.view(-1, 32)
    known = levels(format) * (blocks.abs().amax(1, keepdim=True) / levels(format).max())
    distance = (blocks[:, :, None] - known[:, None, :]).abs().amin(-1)
    assert torch.allclose((rounded(W, format, "group", 32).view(-1, 32) - blocks).abs(), distance, atol=1e-6)


def test_the_largest_of_a_block_stays_and_zeros_stay_zeros() -> None:
    for format in ("FP8 E4M3", "FP4"):
        assert torch.allclose(rounded(W, format, "channel").abs().amax(1), W.abs().amax(1))
        assert torch.equal(rounded(torch.zeros(2, 32), format, "tensor"), torch.zeros(2, 32))
    assert torch.equal(rounded(W, "BF16", "tensor"), W.bfloat16().float())
    with pytest.raises(InputError, match="do not divide"):
        rounded(W, "FP4", "group", 48)


def test_bytes_are_codes_and_a_scale_for_each_block() -> None:
    assert format_bytes(64, 2, "NF4") == 32 + 4
    assert format_bytes(64, 1, "FP8 E5M2") == 64 + 2
    assert format_bytes(64, 64, "BF16") == 128


@pytest.mark.parametrize("format", ["FP4", "NF4"])
def test_between_two_numbers_the_border_belongs_to_the_lower_one(format: Format) -> None:
    known = levels(format)
    borders = (known[1:] + known[:-1]) / 2
    above = borders.nextafter(torch.tensor(100.0))
    x = torch.cat((borders, above, known, torch.linspace(-1, 1, 10_001) * known.max()))
    assert torch.equal(cast(x, format), known[torch.bucketize(x, borders)])


def test_a_cast_without_a_scale_cuts_off_what_is_too_large_and_loses_what_is_too_small() -> None:
    x = torch.tensor([24_024.0, -1e9, 0.0009, 0.1])
    assert cast(x, "FP8 E4M3").tolist() == [448, -448, 0, 0.1015625]
    assert cast(x, 8).tolist() == [127, -127, 0, 0]
    assert torch.equal(cast(x, "BF16"), x.bfloat16().float())
