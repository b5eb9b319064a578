"""Copied, merged and exchanged key/value heads equal the same done to keys and values by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.kv_heads import KVExpanded, KVPooled, KVRotated, best_heads, pooled_by
from llm_holes.engine.surgery.operations import Operation, PackedWeights, hooked, operated
from tests.support.tiny_models import digest, ours, reference

IDS = torch.randint(0, 97, (2, 20), generator=torch.Generator().manual_seed(5))
EVERY = (0, 1, 2)


def logits(model: Decoder) -> Tensor:
    return model.forward(IDS).logits


def by_hand(model: Decoder, layers: tuple[int, ...], change: Callable[[Tensor], Tensor]) -> Tensor:
    """Keys before RoPE and values [batch, pos, kv_head, d_head] changed as they are computed."""
    for layer in layers:
        for point in ("attn.hook_k", "attn.hook_v"):
            model = hooked(model, tap(layer, point), change)
    return logits(model)


def mean(x: Tensor) -> Tensor:
    return x.mean(2, keepdim=True).expand_as(x)


@pytest.mark.parametrize("variant", ["llama", "llama-bias", "qwen2", "qwen3", "llama-mha", "llama-mqa-tied"])
def test_expanded_heads_give_the_same_logits_and_a_larger_cache(variant: str) -> None:
    model = ours(reference(variant))
    expanded = operated(model, [KVExpanded()])
    assert expanded.config.n_kv_heads == model.config.n_heads
    assert (logits(expanded) - logits(model)).abs().max() <= 1e-5 * logits(model).abs().max().clamp(min=1)
    sizes = []
    for m in (model, expanded):
        cache = ContiguousCache(m.config, 4, batch=2)
        parts = [m.forward(part, cache).logits for part in IDS.split([9, 11], dim=1)]
        assert torch.allclose(torch.cat(parts, 1), logits(model), atol=1e-4)
        sizes.append(cache.nbytes)
    assert sizes[1] == sizes[0] * model.config.kv_group


@pytest.mark.parametrize("layers", [EVERY, (1,)])
@pytest.mark.parametrize(
    ("operation", "change"),
    [
        (KVPooled, mean),
        (lambda layers: KVPooled(layers, (1, 1, 1)), lambda x: x[:, :, 1:2].expand_as(x)),
        (KVRotated, lambda x: x.roll(-1, 2)),
    ],
)
def test_merged_and_exchanged_heads_equal_theirs_by_hand(
    tiny: Decoder,
    layers: tuple[int, ...],
    operation: Callable[[tuple[int, ...]], Operation],
    change: Callable[[Tensor], Tensor],
) -> None:
    before, intact = digest(tiny), logits(tiny)
    changed = logits(operated(tiny, [operation(layers)]))
    assert torch.allclose(changed, by_hand(tiny, layers, change), atol=1e-4)
    assert not torch.allclose(changed, intact, atol=1e-3)
    assert torch.equal(logits(tiny), intact)
    assert digest(tiny) == before


def test_pooled_everywhere_has_one_head_in_its_cache(tiny: Decoder) -> None:
    model = operated(tiny, [KVPooled(EVERY)])
    cache = ContiguousCache(model.config, 4, batch=2)
    model.forward(IDS, cache)
    assert cache.nbytes == 2 * IDS.numel() * 3 * model.config.d_head * 4
    assert operated(tiny, [KVPooled((0, 1))]).config.n_kv_heads == 2


def test_the_best_head_changes_what_its_layer_gives_least(tiny: Decoder) -> None:
    ids = IDS[0].tolist()
    kept = best_heads(tiny, ids)
    for layer in EVERY:
        z = tap(layer, "attn.hook_z")
        intact = tiny.forward(IDS[:1], taps=[z]).acts[z]
        pooled = [operated(tiny, [KVPooled((layer,), (head,) * 3)]) for head in range(tiny.config.n_kv_heads)]
        errors = [float(((model.forward(IDS[:1], taps=[z]).acts[z] - intact) ** 2).sum()) for model in pooled]
        assert kept[layer] == errors.index(min(errors))
    assert pooled_by(tiny, "best", EVERY, ids) == KVPooled(EVERY, kept)
    assert pooled_by(tiny, "first", EVERY, [1]) == KVPooled(EVERY, (0, 0, 0))


def test_packed_matrices_can_be_shared_too(tiny: Decoder) -> None:
    packed = operated(tiny, [PackedWeights(8)])
    assert torch.allclose(logits(operated(packed, [KVExpanded()])), logits(packed), rtol=0.05, atol=0.1)
