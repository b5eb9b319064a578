"""What the lesson says of features, landmarks, best keys, leaks and crossovers, against independent measurements."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.measure import Timing
from llm_holes.engine.model.decoder import fused_attention
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.linear_attention import RandomFeatures
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.tier3.attention_approximations.methods import TOKENS, attention_fn_of, weights_of
from llm_holes.lessons.tier3.attention_approximations.trials import Times, future_leak, relative_error
from tests.support.lessons import measured

ID = "attention-approximations"


def test_linear_attention_ruins_the_model_and_one_layer_of_it_does_not(engine: Engine) -> None:
    everywhere, one = measured(engine, ID), measured(engine, ID, "only one layer")
    assert everywhere["perplexity_full"] == one["perplexity_full"] < 50
    assert everywhere["perplexity_approx"] > 400
    assert everywhere["perplexity_approx"] > 0.2 * everywhere["perplexity_average"]
    assert everywhere["relative_error"] > 1
    assert one["layers_changed"] == 1
    assert one["kl_nats"] < 0.1


def test_the_error_is_that_of_one_head_computed_by_hand(engine: Engine) -> None:
    """Layer 15 alone: exact and linear attention written out for every position."""
    ids = torch.tensor([engine.tokenizer.encode(passage())[:128]])
    names = [tap(15, f"attn.hook_{point}") for point in ("rot_q", "rot_k", "v", "z")]
    q, k, v, z = (torch.from_numpy(engine.model.forward(ids, taps=names).acts[name][0]) for name in names)
    wrong = 0.0
    for head in range(9):
        fq, fk = (torch.nn.functional.elu(x) + 1 for x in (q[:, head], k[:, head // 3]))
        weights = (fq @ fk.T).tril()
        linear = weights / weights.sum(-1, keepdim=True) @ v[:, head // 3]
        wrong += float((linear - z[:, head]).square().sum())
    m = measured(engine, ID, "only one layer")
    assert m["relative_error"] == pytest.approx((wrong / float(z.square().sum())) ** 0.5, rel=1e-4)


def test_random_features_do_not_come_nearer_on_this_models_keys(engine: Engine) -> None:
    ids = torch.tensor([engine.tokenizer.encode(passage())[:40]])
    names = [tap(15, f"attn.hook_{point}") for point in ("rot_q", "rot_k", "v")]
    q, k, v = (torch.from_numpy(engine.model.forward(ids, taps=names).acts[name]).transpose(1, 2) for name in names)
    few, many = (relative_error(RandomFeatures(count), [(q, k, v)]) for count in (4, 256))
    assert many > 0.6 * few
    q, k, v = (torch.randn(1, heads, 40, 64, generator=torch.Generator().manual_seed(0)) / 2 for heads in (9, 3, 3))
    assert relative_error(RandomFeatures(256), [(q, k, v)]) < 0.5 * relative_error(RandomFeatures(4), [(q, k, v)])


def test_peeking_looks_brilliant_in_all_layers_and_is_of_no_use_in_the_lower_ones_nor_for_writing(
    engine: Engine,
) -> None:
    everywhere, lower = measured(engine, ID), measured(engine, ID, "peeking in the lower half")
    assert everywhere["perplexity_no_mask"] < 0.2 * everywhere["perplexity_full"]
    assert lower["perplexity_no_mask"] > 2 * lower["perplexity_full"]
    assert lower["perplexity_approx"] == lower["perplexity_no_mask"]
    assert lower["future_leak"] > 0.1
    # it writes on by repeating what it has just read
    assert "beginning to get very tired of sitting" in everywhere["written_no_mask"]


def test_keys_by_hashing_are_no_better_than_keys_by_lot_and_the_best_as_many_are(engine: Engine) -> None:
    m = measured(engine, ID)
    assert abs(m["loss_hashing"] - m["loss_random_pairs"]) < 0.3
    assert m["loss_best_pairs"] < m["loss_hashing"] - 2
    assert m["hashing_helps"] == "no"
    assert 1 / 8 < m["share_hashed"] < 0.2


def test_flash_attention_is_exact(engine: Engine) -> None:
    assert measured(engine, ID)["flash_max_abs_diff"] < 1e-4


def test_maps_show_the_weights_by_which_values_are_summed(engine: Engine) -> None:
    ids = torch.tensor([engine.tokenizer.encode(passage())[:TOKENS]])
    points = ("rot_q", "rot_k", "v", "pattern")
    acts = engine.model.forward(ids, taps=[tap(15, f"attn.hook_{point}") for point in points]).acts
    q, k, v, pattern = (torch.from_numpy(acts[tap(15, f"attn.hook_{point}")]) for point in points)
    heads = (q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
    assert torch.allclose(weights_of(fused_attention, heads, 4), pattern[0, 4], atol=1e-5)
    for method in ("linear", "plain average", "best keys", "hashing", "landmarks"):
        weights = weights_of(attention_fn_of(method, 4, 4, 0), heads, 4)
        assert torch.allclose(weights.sum(-1), torch.ones(TOKENS), atol=1e-4)
        assert weights.triu(1).abs().max() < 1e-6


def test_a_text_of_the_learners_own_is_read_instead(engine: Engine) -> None:
    m = measured(engine, ID, text="Die Katze sitzt auf der Matte und schläft.", time_tokens=64)
    assert m["tokens"] == len(engine.encode("Die Katze sitzt auf der Matte und schläft."))
    with pytest.raises(InputError):
        measured(engine, ID, text="a")


def test_few_keys_suffice_and_all_scores_are_needed_to_find_them(engine: Engine) -> None:
    m = measured(engine, ID, "the best eight keys")
    assert m["perplexity_approx"] < 1.4 * m["perplexity_full"]
    assert m["crossover_found"] is False
    assert m["crossover_tokens"] == 0


def test_landmarks_of_blocks_are_causal_and_of_the_whole_text_are_not(engine: Engine) -> None:
    blocks, whole = (measured(engine, ID, preset) for preset in ("a landmark per block", "a leak"))
    assert blocks["future_leak"] < 1e-5
    assert blocks["perplexity_approx"] < 150
    assert whole["future_leak"] > 0.05


def test_the_leak_is_what_the_future_changes() -> None:
    q, k, v = (torch.randn(1, 2, 12, 4, generator=torch.Generator().manual_seed(1)) for _ in range(3))
    mean_so_far = v.cumsum(2) / torch.arange(1, 13)[:, None]
    assert future_leak(lambda q, k, v: v.cumsum(2), (q, k, v)) == 0
    assert future_leak(lambda q, k, v: v.flip(2), (q, k, v)) > 0.5
    assert future_leak(lambda q, k, v: v.roll(-1, 2) + 0 * mean_so_far, (q, k, v)) > 0.5


@pytest.mark.parametrize(
    ("approximate", "crossover"), [((5, 5, 5, 5), 256), ((1, 1, 1, 1), 64), ((9, 9, 9, 9), 0), ((1, 5, 9, 5), 512)]
)
def test_a_crossover_lasts_to_the_longest_text(approximate: tuple[int, ...], crossover: int) -> None:
    times = [tuple(Timing(ms, ms, ms) for ms in column) for column in ((2, 4, 6, 8), approximate)]
    assert Times((64, 128, 256, 512), *times).crossover == crossover


def test_short_and_long_texts(engine: Engine) -> None:
    assert measured(engine, ID, tokens=2, time_tokens=64, method="landmarks", size=1)["kl_nats"] < 1e-4
    m = measured(engine, ID, tokens=100, time_tokens=64, method="best keys", size=1024, layers="upper half")
    assert m["kl_nats"] < 1e-4
    assert m["layers_changed"] == 15
