"""The decoder equals transformers' own, whatever the family; taps see what was computed and cost nothing unasked."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest
import torch

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder, fused_attention
from llm_holes.engine.model.hook_names import GLOBAL, PER_LAYER, in_all_layers, tap
from llm_holes.engine.surgery.operations import hooked
from tests.support.tiny_models import VARIANTS, ours, reference

IDS = torch.randint(0, 97, (2, 33), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_equal_transformers(variant: str) -> None:
    model = reference(variant)
    with torch.no_grad():
        expected = model(IDS).logits
    difference = (ours(model).forward(IDS).logits - expected).abs().max().item()
    assert expected.std().item() > 0.1
    assert difference <= 1e-4


@pytest.mark.parametrize("variant", ["mixtral", "qwen3moe"])
def test_experts_that_no_token_chose_are_neither_read_nor_needed(variant: str) -> None:
    model = ours(reference(variant))
    router, names = model.config.router, [f"model.layers.1.mlp.{part}_proj.weight" for part in ("gate", "up", "down")]
    assert router
    width = model.config.d_mlp // router.experts
    whole = model.forward(IDS[:1, :1], taps=[tap(1, "mlp.hook_post")])
    silent = (torch.tensor(whole.acts[tap(1, "mlp.hook_post")]).view(router.experts, width) == 0).all(-1)
    assert int(silent.sum()) == router.experts - router.chosen
    unread = silent.repeat_interleave(width)
    spoilt = {name: model.weights[name].clone() for name in names}
    for name, w in spoilt.items():
        (w.T if "down" in name else w)[unread] = torch.nan
    alone = replace(model, weights={**model.weights, **spoilt}).forward(IDS[:1, :1]).logits
    assert (alone - whole.logits).abs().max() < 1e-5


@pytest.mark.parametrize("chunks", [[33], [1] * 33, [20, 1, 1, 11]])
def test_cache_gives_the_same_logits_however_the_text_is_cut(tiny: Decoder, chunks: list[int]) -> None:
    cache = ContiguousCache(tiny.config, capacity=4, batch=2)
    whole = tiny.forward(IDS).logits
    parts = [tiny.forward(part, cache).logits for part in IDS.split(chunks, dim=1)]
    assert (torch.cat(parts, 1) - whole).abs().max().item() < 1e-4
    assert cache.length == 33
    assert cache.nbytes == 2 * tiny.config.kv_bytes_per_token() * 33


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name.endswith("-window")])
@pytest.mark.parametrize("chunks", [[33], [1] * 33, [3, 20, 1, 1, 8]])
def test_a_window_is_the_same_with_the_cache_and_without_and_as_transformers_has_it(
    variant: str, chunks: list[int]
) -> None:
    model = reference(variant)
    with torch.no_grad():
        expected = model(IDS).logits
    windowed = ours(model)
    cache = ContiguousCache(windowed.config, capacity=4, batch=2)
    parts = [windowed.forward(part, cache).logits for part in IDS.split(chunks, dim=1)]
    assert (torch.cat(parts, 1) - expected).abs().max().item() <= 1e-4
    whole = replace(windowed, config=msgspec.structs.replace(windowed.config, windows=(None,) * 3))
    assert (whole.forward(IDS).logits - expected).abs().max().item() > 0.01


def test_a_window_is_seen_in_the_pattern(tiny: Decoder) -> None:
    windowed = replace(tiny, config=msgspec.structs.replace(tiny.config, windows=(None, 7, None)))
    names = [tap(1, "attn.hook_pattern"), tap(1, "hook_attn_out")]
    acts = windowed.forward(IDS, taps=names).acts
    distance = torch.arange(33)[:, None] - torch.arange(33)
    seen = (distance >= 0) & (distance < 7)
    assert ((torch.from_numpy(acts[names[0]]) > 0) == seen).all()
    fused = windowed.forward(IDS, taps=names[1:]).acts[names[1]]
    assert abs(acts[names[1]] - fused).max() < 1e-5


def test_every_tap_is_recorded_and_changes_no_logit(tiny: Decoder) -> None:
    names = {*GLOBAL, *(tap(layer, point) for layer in range(3) for point in PER_LAYER)}
    plain, tapped = tiny.forward(IDS), tiny.forward(IDS, taps=names)
    assert plain.acts == {}
    assert tapped.acts.keys() == names
    assert (plain.logits - tapped.logits).abs().max().item() < 1e-5


def test_taps_have_the_shapes_of_transformer_lens(tiny: Decoder) -> None:
    shapes = {
        "hook_resid_post": (2, 33, 48),
        "attn.hook_q": (2, 33, 6, 16),
        "attn.hook_rot_k": (2, 33, 2, 16),
        "attn.hook_pattern": (2, 6, 33, 33),
        "attn.hook_z": (2, 33, 6, 16),
        "mlp.hook_post": (2, 33, 80),
    }
    acts = tiny.forward(IDS, taps=[tap(1, point) for point in shapes]).acts
    assert {point: acts[tap(1, point)].shape for point in shapes} == shapes


def test_the_stream_is_the_embedding_plus_every_update(tiny: Decoder) -> None:
    points = ("hook_attn_out", "hook_mlp_out")
    names = {"hook_embed", tap(2, "hook_resid_post"), *(t for p in points for t in in_all_layers(p, 3))}
    acts = tiny.forward(IDS, taps=names).acts
    total = acts["hook_embed"] + sum(acts[t] for p in points for t in in_all_layers(p, 3))
    assert abs(total - acts[tap(2, "hook_resid_post")]).max() < 1e-4


def test_attention_recomputed_from_its_taps(tiny: Decoder) -> None:
    names = [tap(1, f"attn.hook_{x}") for x in ("rot_q", "rot_k", "v", "pattern", "z")]
    q, k, v, pattern, z = (torch.tensor(tiny.forward(IDS, taps=names).acts[name]) for name in names)
    head, kv_head = 4, 4 // 3
    scores = q[0, :, head] @ k[0, :, kv_head].T / math.sqrt(16)
    expected = scores.masked_fill(~torch.ones(33, 33, dtype=torch.bool).tril(), -torch.inf).softmax(-1)
    assert (pattern[0, head] - expected).abs().max() < 1e-5
    assert (z[0, :, head] - expected @ v[0, :, kv_head]).abs().max() < 1e-5


def test_a_later_token_changes_nothing_before_it(tiny: Decoder) -> None:
    changed = IDS.clone()
    changed[:, 20] = (changed[:, 20] + 1) % 97
    difference = (tiny.forward(IDS).logits - tiny.forward(changed).logits).abs().amax((0, 2))
    assert difference[:20].max() == 0
    assert difference[20] > 0.01


def test_logits_of_the_last_positions_only(tiny: Decoder) -> None:
    assert torch.allclose(tiny.forward(IDS, logits_to_keep=2).logits, tiny.forward(IDS).logits[:, -2:], atol=1e-5)


@pytest.mark.parametrize("middle", [0, 1, 3])
def test_the_parts_of_a_pass_done_one_by_one_are_the_pass_to_the_bit(tiny: Decoder, middle: int) -> None:
    model = hooked(tiny, tap(1, "hook_resid_mid"), lambda x: 2 * x)
    stream = model.run_layers(model.run_layers(model.embed(IDS), 0, middle), middle)
    assert torch.equal(model.unembed(stream), model.forward(IDS).logits)


def test_a_model_up_to_a_layer_has_its_activations_and_no_later_ones(tiny: Decoder) -> None:
    name = tap(1, "hook_resid_post")
    lower, whole = tiny.up_to(1).forward(IDS, taps=[name]), tiny.forward(IDS, taps=[name])
    assert (lower.acts[name] == whole.acts[name]).all()
    assert torch.equal(lower.logits, tiny.unembed(torch.from_numpy(whole.acts[name])))
    with pytest.raises(ValueError, match="no such tap"):
        tiny.up_to(1).forward(IDS, taps=[tap(2, "hook_resid_pre")])


def test_cancellation_is_asked_before_every_layer_and_leaves_the_cache_usable(tiny: Decoder) -> None:
    asked = 0

    def is_cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    cache = ContiguousCache(tiny.config, batch=2)
    with pytest.raises(Cancelled):
        tiny.cancellable(is_cancelled).forward(IDS, cache)
    assert asked == 3
    assert cache.length == 0
    assert torch.equal(tiny.forward(IDS, cache).logits, tiny.forward(IDS, ContiguousCache(tiny.config, batch=2)).logits)


@pytest.mark.parametrize("name", ["blocks.3.hook_resid_pre", "blocks.0.hook_nothing", "hook_logits", ""])
def test_a_tap_that_does_not_exist_is_refused(tiny: Decoder, name: str) -> None:
    with pytest.raises(ValueError, match="no such tap"):
        tiny.forward(IDS, taps=[name])


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("wide", [8, 5], ids=["values as wide as keys", "narrower values"])
def test_a_single_query_brings_home_what_it_does_among_others(window: int | None, wide: int) -> None:
    rng = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 6, 7, 8, generator=rng), torch.randn(2, 2, 7, 8, generator=rng)
    v = torch.randn(2, 2, 7, wide, generator=rng)
    among = fused_attention(q, k, v, window)[:, :, -1:]
    torch.testing.assert_close(fused_attention(q[:, :, -1:], k, v, window), among, rtol=1e-5, atol=1e-5)
