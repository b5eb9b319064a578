"""The lens and the residual stream: a state read as the last one is, and the stream as a sum of updates."""

from __future__ import annotations

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.interpret.logit_lens import first_top, lens, residual_stream, residual_updates, settled_at, tapped
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap

IDS = torch.randint(0, 97, (20,), generator=torch.Generator().manual_seed(5)).tolist()


def test_the_stream_is_the_embedding_and_all_updates(tiny: Decoder) -> None:
    added, total = residual_updates(tiny, IDS, len(IDS))
    assert len(added) == 6
    assert torch.allclose(total.float(), residual_stream(tiny, IDS)[-1], atol=1e-4)


def test_taps_see_all_of_a_prefill_and_one_position_of_a_decode_step(tiny: Decoder) -> None:
    name = tap(2, "hook_resid_post")
    whole = tiny.forward(torch.tensor([IDS]), taps=[name]).acts[name]
    cache = ContiguousCache(tiny.config)
    prefill = tiny.forward(torch.tensor([IDS[:-1]]), cache, taps=[name]).acts[name]
    step = tiny.forward(torch.tensor([IDS[-1:]]), cache, taps=[name]).acts[name]
    assert (prefill.shape[1], step.shape[1]) == (19, 1)
    assert abs(step[0, 0] - whole[0, -1]).max() < 1e-4


def test_the_last_positions_alone_are_those_of_the_whole_text(tiny: Decoder) -> None:
    assert torch.allclose(residual_stream(tiny, IDS, last=4), residual_stream(tiny, IDS)[:, -4:], atol=1e-4)
    assert tapped(tiny, IDS, ["hook_embed"], last=50)["hook_embed"].shape == (1, 20, 48)


def test_the_lens_ends_with_what_the_model_says_and_applies_the_final_norm(tiny: Decoder) -> None:
    stream = residual_stream(tiny, IDS)
    seen = lens(tiny, stream, 5)
    p = tiny.forward(torch.tensor([IDS])).logits[0].softmax(-1)
    assert torch.allclose(seen.p[-1], p.topk(5).values, atol=1e-5)
    assert (seen.rank_final[-1] == 1).all()
    middle = stream[2].double()
    normed = middle / (middle.square().mean(-1, keepdim=True) + tiny.config.norm_eps).sqrt()
    logits = (normed * tiny.weights["model.norm.weight"]) @ tiny.weights["lm_head.weight"].double().T
    by_hand = logits.softmax(-1)
    assert torch.allclose(seen.p[2].double(), by_hand.topk(5).values, atol=1e-5)
    below = lens(tiny, stream, 97)
    order = below.tokens[1].argsort(-1)
    change = seen.p[2] - below.p[1].gather(-1, order).gather(-1, seen.tokens[2])
    assert torch.allclose(seen.change[2], change, atol=1e-5)
    assert (seen.change[0] == 0).all()


def test_where_a_rank_is_first_one_and_from_where_it_stays() -> None:
    ranks = torch.tensor([9, 1, 4, 1, 1])
    assert (first_top(ranks), settled_at(ranks)) == (1, 3)
    assert settled_at(torch.tensor([1, 1])) == 0


def test_ranks_are_told_apart_where_probabilities_are_0(engine: Engine) -> None:
    stream = residual_stream(engine.model, engine.encode("The capital of France is"))
    seen = lens(engine.model, stream, 1)
    logits = engine.model.unembed(stream[0, -1:])[0].double()
    answer = int(seen.tokens[-1, -1, 0])
    assert logits.softmax(-1)[answer].float() < 1e-30
    assert int(seen.rank_final[0, -1]) == 1 + int((logits > logits[answer]).sum())
