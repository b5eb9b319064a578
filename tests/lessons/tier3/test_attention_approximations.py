"""What the lesson says of features, landmarks, best keys, leaks and crossovers, against independent measurements."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve
from llm_holes.engine.measure import Timing
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.surgery.linear_attention import RandomFeatures
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.tier3.attention_approximations.trials import Times, future_leak, relative_error
from tests.support.lessons import frames, measured

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
    ids = torch.tensor([engine.tokenizer.encode(passage())[:40]])
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
    views = frames(engine, ID, "random features")[-1].views
    curve = next(view for view in views if view.key == "error by size")
    assert isinstance(curve, Curve)
    errors = curve.series[0].y
    assert curve.series[0].x == (4, 16, 64, 256)
    assert errors[-1] > 0.7 * errors[0]
    short = tuple(torch.randn(1, heads, 40, 64, generator=torch.Generator().manual_seed(0)) / 2 for heads in (9, 3, 3))
    assert relative_error(RandomFeatures(256), [short]) < 0.5 * relative_error(RandomFeatures(4), [short])


def test_few_keys_suffice_and_all_scores_are_needed_to_find_them(engine: Engine) -> None:
    m = measured(engine, ID, "the best eight keys")
    assert m["perplexity_approx"] < 1.2 * m["perplexity_full"]
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
