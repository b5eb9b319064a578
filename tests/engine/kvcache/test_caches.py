"""What each cache may and may not change: exact ones nothing, the others exactly what they say."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec
import pytest
import torch

from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.kvcache.block_manager import BlockManager, OutOfBlocks
from llm_holes.engine.kvcache.offloaded import POLICIES, OffloadedCache, Policy, block_shape, slots_for
from llm_holes.engine.kvcache.paged import PagedMemory
from llm_holes.engine.kvcache.quantized import QuantizedCache
from llm_holes.engine.kvcache.tiers import FileTier, HostTier, tier_for
from llm_holes.engine.kvcache.window import WindowCache
from llm_holes.engine.model.cache import ContiguousCache, KVCache
from llm_holes.engine.model.config import Config
from llm_holes.engine.model.decoder import Decoder

IDS = torch.tensor([[3, 14, 15, 9, 26, 53, 58, 9, 79, 32, 38, 46, 26, 43, 38, 32, 79, 50, 28, 84]])
LENGTH = IDS.shape[1]
Make = Callable[[Config], KVCache]


def window_of_6(config: Config) -> KVCache:
    return WindowCache(config, window=6, sinks=1)


def codes_of_8_bits(config: Config) -> KVCache:
    return QuantizedCache(config, 8, group_size=16)


def blocks_of_3(config: Config) -> KVCache:
    return paged(config).allocate("a", IDS[0, :1].tolist())


def paged(config: Config, blocks: int = 9) -> PagedMemory:
    """A memory whose free list is in no order."""
    return PagedMemory(config, BlockManager(blocks, 3, order=torch.randperm(blocks).tolist()))


def offloaded(config: Config, policy: Policy = "LRU", budget: int = 2, exact: bool = True) -> OffloadedCache:
    """Blocks of 3 in a file."""
    tier = FileTier(slots_for(config, LENGTH, 3), block_shape(config, 3))
    return OffloadedCache(config, tier, LENGTH, budget, 3, policy, exact)


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
    for n in range(2 * tiny.config.n_ctx):
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
    read(tiny, memory.allocate("a", ids), [LENGTH])
    other = [*ids[:10], 90, 91]
    cache = memory.allocate("b", other)
    assert cache.length == 9
    logits = tiny.forward(torch.tensor([other[9:]]), cache).logits[0, -1]
    assert torch.allclose(logits, tiny.forward(torch.tensor([other])).logits[0, -1], atol=1e-4)


def test_two_continuations_of_one_block_do_not_disturb_each_other(tiny: Decoder) -> None:
    memory = paged(tiny.config, blocks=11)
    one = memory.allocate("a", IDS[0, :10].tolist())
    tiny.forward(IDS[:, :10], one)
    two = one.fork("b")
    for n in range(10, LENGTH):
        for cache, token in ((one, IDS[0, n]), (two, 96 - IDS[0, n])):
            cache.append_slots([int(token)])
            logits = tiny.forward(token[None, None], cache).logits
    expected = tiny.forward(torch.cat((IDS[:, :10], 96 - IDS[:, 10:]), 1)).logits[0, -1]
    assert torch.allclose(logits[0, -1], expected, atol=1e-4)
    assert one.block_table[:3] == two.block_table[:3]
    assert not set(one.block_table[3:]) & set(two.block_table[3:])
    one.free()
    two.free()
    assert len(memory.manager.free_blocks) == 11


def test_a_full_memory_refuses_and_stays_usable(tiny: Decoder) -> None:
    memory = paged(tiny.config, blocks=5)
    cache = memory.allocate("a", IDS[0, :12].tolist())
    tiny.forward(IDS[:, :12], cache)
    with pytest.raises(OutOfBlocks):
        tiny.forward(IDS[:, 12:], cache)
    assert cache.length == 12
    expected = tiny.forward(IDS[:, :15]).logits[0, -1]
    assert torch.allclose(tiny.forward(IDS[:, 12:15], cache).logits[0, -1], expected, atol=1e-4)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("chunks", [[20], [1] * 20, [7, 1, 12]])
def test_what_is_fetched_from_a_file_is_exact(tiny: Decoder, policy: Policy, chunks: list[int]) -> None:
    cache = offloaded(tiny.config, policy)
    assert torch.equal(read(tiny, cache, chunks), read(tiny, ContiguousCache(tiny.config), chunks))
    assert cache.nbytes == tiny.config.kv_bytes_per_token() * LENGTH
    assert cache.resident_bytes == 2 * 3 * tiny.config.kv_bytes_per_token()
    cache.close()


def test_least_recently_used_never_finds_what_is_read_in_a_circle(tiny: Decoder) -> None:
    """Only the block being filled is ever there; any fixed choice does better."""
    rates = {}
    for policy in POLICIES:
        cache = offloaded(tiny.config, policy, budget=4)
        read(tiny, cache, [18, 1, 1])
        assert {block for _, block in cache.hits | cache.misses} == set(range(7))
        rates[policy] = cache.hits.total() / (cache.hits.total() + cache.misses.total())
    assert rates["LRU"] < 0.35
    assert rates["attention score"] == rates["window + landmarks"] > 0.5


@pytest.mark.parametrize("budget", [2, 4])
def test_what_is_left_out_is_as_if_it_had_never_been_there(tiny: Decoder, budget: int) -> None:
    """LRU keeps the newest; in one layer the last token sees those blocks and itself, at their own positions."""
    single = replace(tiny, config=msgspec.structs.replace(tiny.config, n_layers=1))
    cache = offloaded(single.config, "LRU", budget, exact=False)
    logits = read(single, cache, [1] * LENGTH)[-1]
    first = (LENGTH - 1) // 3 * 3 - 3 * (budget - 1)
    assert torch.allclose(logits, with_what_is_kept(single, [*range(first, LENGTH)]), atol=1e-4)
    assert cache.misses.total() == 0


def test_landmarks_fetch_some_and_keep_the_first_block(tiny: Decoder) -> None:
    cache = offloaded(tiny.config, "window + landmarks", budget=4, exact=False)
    read(tiny, cache, [1] * LENGTH)
    last = {block for place, block in cache.hits if place == LENGTH - 1}
    assert 0 in last
    assert 6 in last
    fetched = [n for (place, _), n in cache.misses.items() if place == LENGTH - 1]
    assert sum(fetched) == 2 * tiny.config.n_layers


def test_all_blocks_fit_a_generous_budget_and_nothing_is_missed(tiny: Decoder) -> None:
    for policy in POLICIES:
        cache = offloaded(tiny.config, policy, budget=20, exact=False)
        assert torch.equal(read(tiny, cache, [1] * LENGTH), read(tiny, ContiguousCache(tiny.config), [1] * LENGTH))
        assert cache.misses.total() == 0


def test_both_tiers_give_back_copies_of_what_was_written() -> None:
    for tier in (tier_for(torch.device("cpu"), 3, (2, 4)), HostTier(3, (2, 4), torch.device("cpu"))):
        block = torch.randn(2, 4)
        tier.write(1, block)
        found = tier.read(1)
        assert torch.equal(found, block)
        found.zero_()
        assert torch.equal(tier.read(1), block)
        tier.close()


def test_the_file_has_no_name_and_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tier = FileTier(4, (8,), str(tmp_path))
    tier.write(3, torch.ones(8))
    assert list(tmp_path.iterdir()) == []
    tier.close()

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match=r"1 MiB for the cache cannot be written to .*: No space left") as caught:
        FileTier(2**15, (8,), str(tmp_path))
    assert "TMPDIR" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("make", [window_of_6, codes_of_8_bits, blocks_of_3, offloaded])
def test_a_cancelled_pass_leaves_a_cache_as_it_was(tiny: Decoder, make: Make) -> None:
    expected = read(tiny, make(tiny.config), [9, 11])
    cache = make(tiny.config)
    first = tiny.forward(IDS[:, :9], cache).logits
    answers = iter([False, True])
    with pytest.raises(Cancelled):
        tiny.cancellable(lambda: next(answers)).forward(IDS[:, 3:7], cache)
    second = tiny.forward(IDS[:, 9:], cache).logits
    assert torch.equal(torch.cat((first, second), 1)[0], expected)
