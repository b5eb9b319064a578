"""A model that keeps what contexts have in common gives the logits of one that reads each afresh."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel


def test_reading_with_a_shared_prefix_gives_the_logits_of_reading_afresh(engine: Engine) -> None:
    model = PrefixCachedModel(engine.model)
    ids = engine.encode("The cat sat on the mat and the dog sat on the log.")
    for context in (ids[:6], ids, ids[:4] + ids[9:], ids[:6], ids[:5]):
        assert torch.allclose(model.logits(context), engine.logits(context, 1)[0], atol=1e-3)
    assert model.tokens_read == len(ids) + len(ids) - 9 + 1, "one for ids[:5], whose keys were there, whose logits not"


def test_a_cancelled_reading_leaves_the_cache_right(engine: Engine) -> None:
    asked = iter([False] * (engine.info.n_layers + 3) + [True])
    model = PrefixCachedModel(engine.model.cancellable(lambda: next(asked, False)))
    ids = engine.encode("One two three four five six seven")
    model.logits(ids[:4])
    with pytest.raises(Cancelled):
        model.logits(ids[:2] + ids[4:])
    assert torch.allclose(model.logits(ids), engine.logits(ids, 1)[0], atol=1e-3)
