"""Long work in stretches."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.stretches import STRETCH, in_stretches
from llm_holes.engine.work import Work


def test_the_logits_of_a_long_text_are_made_in_stretches_and_are_the_same(tiny: Decoder) -> None:
    x = torch.randn(1, 2 * STRETCH + 3, tiny.config.d_model, generator=torch.manual_seed(1))
    told: list[Work] = []
    logits = tiny.cancellable(lambda: False, told.append).unembed(x)
    assert told == [Work("position", n, x.shape[1]) for n in (1, STRETCH + 1, 2 * STRETCH + 1)]
    assert logits.shape == (*x.shape[:2], tiny.config.d_vocab)
    alone = torch.cat([tiny.unembed(x[0, n])[None] for n in (0, STRETCH, x.shape[1] - 1)])
    torch.testing.assert_close(logits[0, [0, STRETCH, -1]], alone)


def test_long_work_stops_between_two_stretches(tiny: Decoder) -> None:
    asked = iter([False, True])
    x = torch.zeros(1, 3 * STRETCH, tiny.config.d_model)
    with pytest.raises(Cancelled):
        tiny.cancellable(lambda: next(asked)).unembed(x)


def test_short_work_is_done_at_once_in_its_own_shape() -> None:
    seen = []
    x = torch.zeros(2, 3, 4)
    assert in_stretches(lambda part: seen.append(part.shape) or part, x, lambda work: pytest.fail("told")) is x
    assert seen == [x.shape]
