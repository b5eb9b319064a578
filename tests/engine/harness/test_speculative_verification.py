"""A draft verified in one pass, right or wrong, gives the logits there would be without it."""

from __future__ import annotations

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.speculative_verification import verify


def test_a_draft_changes_nothing_but_the_work(engine: Engine) -> None:
    model = PrefixCachedModel(engine.model)
    ids, draft = engine.encode("The capital of France is"), engine.encode(" Paris, and the")
    verify(model, ids, draft)
    read = model.tokens_read
    for context in (ids, ids + draft[:2], ids + draft):
        assert torch.allclose(model.logits(context), engine.logits(context, 1)[0], atol=1e-3)
    assert model.tokens_read == read == len(ids) + len(draft)
    other = ids + draft[:1] + draft[2:]
    assert torch.allclose(model.logits(other), engine.logits(other, 1)[0], atol=1e-3)
