"""A look that is cut has no weight, in the place named and nowhere else, with and without a cache."""

from __future__ import annotations

import torch

from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import in_all_layers, tap
from llm_holes.engine.surgery.edges import EdgesCut
from llm_holes.engine.surgery.operations import operated

IDS = torch.randint(0, 97, (1, 12), generator=torch.Generator().manual_seed(5))


def test_a_cut_edge_has_no_weight_and_the_others_share_it(tiny: Decoder) -> None:
    point = tap(0, "attn.hook_pattern")
    before = tiny.forward(IDS, taps=[point]).acts[point][0]
    after = operated(tiny, [EdgesCut((3,), 7, 8, 0, 1)]).forward(IDS, taps=[point]).acts[point][0]
    assert after[1, 7, 3] == 0 < before[1, 7, 3]
    assert abs(after[1, 7].sum() - 1) < 1e-6
    differs = (before != after).any(-1)
    assert differs.nonzero()[0].tolist() == [1]
    assert differs.nonzero()[1].tolist() == [7]


def test_without_a_place_it_is_cut_everywhere_but_a_token_sees_itself(tiny: Decoder) -> None:
    taps = in_all_layers("attn.hook_pattern", tiny.config.n_layers)
    acts = operated(tiny, [EdgesCut((0, 5), 0)]).forward(IDS, taps=taps).acts
    for pattern in acts.values():
        assert (pattern[0, :, 1:, 0] == 0).all()
        assert (pattern[0, :, 0, 0] == 1).all()
        assert (pattern[0, :, 6:, 5] == 0).all()
        assert (pattern[0, :, 5, 5] > 0).all()


def test_a_cache_makes_no_difference(tiny: Decoder) -> None:
    cut, cache = operated(tiny, [EdgesCut((2,), 6)]), ContiguousCache(tiny.config, 12)
    whole = cut.forward(IDS).logits[0, -1]
    cut.forward(IDS[:, :8], cache)
    assert torch.allclose(cut.forward(IDS[:, 8:], cache).logits[0, -1], whole, atol=1e-5)
