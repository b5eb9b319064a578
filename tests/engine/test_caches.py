"""What each cache may and may not change: exact ones nothing, the others exactly what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import msgspec
import pytest
import torch

from llm_holes.engine.cache import ContiguousCache, KVCache
from llm_holes.engine.caches.blocks import BlockManager, OutOfBlocks
from llm_holes.engine.caches.paged import PagedMemory
from llm_holes.engine.caches.quantized import QuantizedCache
from llm_holes.engine.caches.window import WindowCache
from llm_holes.engine.config import Config
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.model import Decoder

IDS = torch.tensor([[3, 14, 15, 9, 26, 53, 58, 9, 79, 32, 38, 46, 26, 43, 38, 32, 79, 50, 28, 84]])
LENGTH = IDS.shape[1]
Make = Callable[[Config], KVCache]


def window_of_6(config: Config) -> KVCache:
    return WindowCache(config, window=6, sinks=1)


def codes_of_8_bits(config: Config) -> KVCache:
    return QuantizedCache(config, 8, group_size=16)


def blocks_of_3(config: Config) -> KVCache:
    return paged(config).begin("a", IDS[0, :1].tolist())


def paged(config: Config, blocks: int = 9) -> PagedMemory:
    """A memory whose free list is in no order."""
    return PagedMemory(config, BlockManager(blocks, 3, order=torch.randperm(blocks).tolist()))


def read(model: Decoder, cache: KVCache | None, chunks: list[int]) -> torch.Tensor:
    """Logits [pos, vocabulary] of IDS, read in chunks."""
    return torch.cat([model.forward(part, cache).logits for part in IDS.split(chunks, dim=1)], 1)[0]


def with_what_is_kept(model: Decoder, kept: list[int]) -> torch.Tensor:
    """Logits after the last of the positions `kept`, as if they were the text."""
    return model.forward(IDS[:, kept]).logits[0, -1]


@pytest.mark.parametrize("chunks", [[20], [1] * 20, [7, 1, 12]])
def test_a_window_as_long_as_the_text_changes_nothing(tiny: Decoder, chunks: list[int]) -> None:
    cache = WindowCache(tiny.config, LENGTH + 1, sinks=2)
    assert (read(tiny, cache, chunks) - read(tiny, None, [LENGTH])).abs().max() < 1e-4
    assert cache.nbytes == tiny.config.kv_bytes_per_token() * LENGTH


@pytest.mark.parametrize(("window", "sinks"), [(5, 0), (5, 2), (1, 1), (1, 0)])
def test_a_window_keeps_the_first_and_the_last(tiny: Decoder, window: int, sinks: int) -> None:
    cache = WindowCache(tiny.config, window, sinks)
    read(tiny, cache, [1] * LENGTH)
    assert cache.kept == [*range(sinks), *range(LENGTH - window + 1, LENGTH)]
    assert cache.length == sinks + window - 1
    assert cache.nbytes == tiny.config.kv_bytes_per_token() * cache.length


def test_the_first_layer_forgets_exactly_what_left_the_window(tiny: Decoder) -> None:
    """One layer has no way to carry on what was seen before, so there the forgotten might never have been read; and
    what stays is numbered anew."""
    single = replace(tiny, config=msgspec.structs.replace(tiny.config, n_layers=1))
    cache = WindowCache(single.config, window=6, sinks=2)
    logits = read(single, cache, [1] * LENGTH)[-1]
    assert torch.allclose(logits, with_what_is_kept(single, [0, 1, *range(LENGTH - 6, LENGTH)]), atol=1e-4)
    assert not torch.allclose(logits, read(single, None, [LENGTH])[-1], atol=1e-2)


def test_a_window_goes_on_beyond_the_context_of_the_model(tiny: Decoder) -> None:
    cache = WindowCache(tiny.config, window=8, sinks=1)
    for n in range(2 * tiny.config.context):
        logits = tiny.forward(IDS[:, n % LENGTH, None], cache).logits
    assert logits.isfinite().all()
    assert cache.length == 8


@pytest.mark.parametrize("chunks", [[20], [1] * 20, [7, 1, 12]])
def test_blocks_in_any_order_give_the_same_logits(tiny: Decoder, chunks: list[int]) -> None:
    cache = blocks_of_3(tiny.config)
    assert torch.equal(read(tiny, cache, chunks), read(tiny, ContiguousCache(tiny.config), chunks))
    assert cache.nbytes == tiny.config.kv_bytes_per_token() * LENGTH


def test_a_shared_beginning_is_not_computed_again(tiny: Decoder) -> None:
    memory = paged(tiny.config)
    ids = IDS[0].tolist()
    read(tiny, memory.begin("a", ids), [LENGTH])
    other = [*ids[:10], 90, 91]
    cache = memory.begin("b", other)
    assert cache.length == 9
    logits = tiny.forward(torch.tensor([other[9:]]), cache).logits[0, -1]
    assert torch.allclose(logits, tiny.forward(torch.tensor([other])).logits[0, -1], atol=1e-4)


def test_two_continuations_of_one_block_do_not_disturb_each_other(tiny: Decoder) -> None:
    memory = paged(tiny.config, blocks=11)
    one = memory.begin("a", IDS[0, :10].tolist())
    tiny.forward(IDS[:, :10], one)
    two = one.fork("b")
    for n in range(10, LENGTH):
        for cache, token in ((one, IDS[0, n]), (two, 96 - IDS[0, n])):
            cache.extend([int(token)])
            logits = tiny.forward(token[None, None], cache).logits
    expected = tiny.forward(torch.cat((IDS[:, :10], 96 - IDS[:, 10:]), 1)).logits[0, -1]
    assert torch.allclose(logits[0, -1], expected, atol=1e-4)
    assert one.block_table[:3] == two.block_table[:3]
    assert not set(one.block_table[3:]) & set(two.block_table[3:])
    one.release()
    two.release()
    assert len(memory.manager.free) == 11


def test_a_full_memory_refuses_and_stays_usable(tiny: Decoder) -> None:
    memory = paged(tiny.config, blocks=5)
    cache = memory.begin("a", IDS[0, :12].tolist())
    tiny.forward(IDS[:, :12], cache)
    with pytest.raises(OutOfBlocks):
        tiny.forward(IDS[:, 12:], cache)
    assert cache.length == 12
    expected = tiny.forward(IDS[:, :15]).logits[0, -1]
    assert torch.allclose(tiny.forward(IDS[:, 12:15], cache).logits[0, -1], expected, atol=1e-4)


@pytest.mark.parametrize(("bits", "error"), [(8, 0.02), (4, 0.35)])
@pytest.mark.parametrize("chunks", [[20], [1] * 20])
def test_fewer_bits_in_the_cache_change_little(
    tiny: Decoder, bits: Literal[8, 4], error: float, chunks: list[int]
) -> None:
    cache = QuantizedCache(tiny.config, bits, group_size=8, capacity=4)
    exact = read(tiny, None, [LENGTH])
    found = read(tiny, cache, chunks)
    relative = (found - exact).norm() / exact.norm()
    assert 0 < relative < error
    numbers = tiny.config.kv_bytes_per_token(1) * LENGTH
    assert cache.nbytes == numbers * bits // 8 + numbers // 8 * 4


def test_codes_give_back_what_lies_on_their_levels(tiny: Decoder) -> None:
    config = tiny.config
    cache = QuantizedCache(config, 4, group_size=16)
    x = torch.arange(16.0).repeat(1, config.n_kv_heads, 3, 1)
    k, v = cache.append(0, x - 8, x / 2)
    assert torch.equal(k, x - 8)
    assert torch.equal(v, x / 2)


def test_groups_that_do_not_divide_a_key_are_refused(tiny: Decoder) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        QuantizedCache(tiny.config, 8, group_size=10)


@pytest.mark.parametrize("make", [window_of_6, codes_of_8_bits, blocks_of_3])
def test_a_cancelled_pass_leaves_a_cache_as_it_was(tiny: Decoder, make: Make) -> None:
    expected = read(tiny, make(tiny.config), [9, 11])
    cache = make(tiny.config)
    first = tiny.forward(IDS[:, :9], cache).logits
    answers = iter([False, True])
    with pytest.raises(Cancelled):
        tiny.stoppable(lambda: next(answers)).forward(IDS[:, 3:7], cache)
    second = tiny.forward(IDS[:, 9:], cache).logits
    assert torch.equal(torch.cat((first, second), 1)[0], expected)
