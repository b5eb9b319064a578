"""A model that guesses what comes next from what stood before writes what it would without, in fewer passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
import torch
from torch import Tensor

from llm_holes.engine.device import Place
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.drafting_model import DRAFTED, DraftingModel, continued
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.write import Written, write
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import PackedWeights, hooked
from llm_holes.engine.weights import placed
from tests.support.tiny_models import ours, reference

PERIOD = [5, 17, 3, 80, 41]
TEXT = [*PERIOD * 6, 9, 17, 3, 80, 9, 9, *PERIOD * 5, 5, 17, 3]
"""Of 64 tokens, as long as a tiny model's context: drafts are right, in part or wrong."""


def passes(model: Decoder) -> tuple[Decoder, list[int]]:
    """The model, and how many tokens each of its passes was over."""
    sizes: list[int] = []

    def counted(x: Tensor) -> Tensor:
        sizes.append(x.shape[1])
        return x

    return hooked(model, "hook_embed", counted), sizes


def same_logits(model: Decoder, text: Sequence[int], start: int, within: float = 1e-4) -> None:
    """Asserts that drafts change nothing that the model expects anywhere in the text, read token by token."""
    read, sizes = passes(model)
    drafting, plain = DraftingModel(read), PrefixCachedModel(model)
    for end in range(start, len(text) + 1):
        torch.testing.assert_close(drafting.logits(text[:end]), plain.logits(text[:end]), rtol=0, atol=within)
    assert len(sizes) < (len(text) - start) / 2


def texts(engine: Engine, model: PrefixCachedModel, prompt: Sequence[int], most: int, heat: float) -> list[Written]:
    params = SamplingParams(temperature=heat, seed=3)
    return list(write(model, engine.tokenizer, prompt, params, most))


def test_the_latest_place_where_the_last_two_stood_before_says_what_follows() -> None:
    assert continued([1, 2, 3, 1, 2, 4, 5, 6, 7, 1, 2], [9, 1, 2], 3) == [4, 5, 6]
    assert continued([1, 2, 3], [1, 2], 3) == [3]
    assert continued([3, 1, 2], [1, 2], 3) == [], "nothing follows"
    assert continued([2, 1], [1, 2], 3) == []
    assert continued([7], [7], 3) == [], "one is too few"
    assert continued([1, 2, 3, 4], [1, 2], 0) == []


@pytest.mark.parametrize("variant", ["llama", "gemma3-window", "gpt2"])
def test_drafts_change_no_logit_up_to_the_end_of_the_context(variant: str) -> None:
    same_logits(ours(reference(variant)), TEXT, 4)


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_drafts_change_no_logit_of_a_model_in_fewer_bits(bits: Literal[4, 8, 16]) -> None:
    model = ours(reference("llama", hidden_size=96, intermediate_size=96, vocab_size=96))
    if bits == 16:
        weights, packed = placed(model.weights, Place(dtype="bf16"))
        model = Decoder(model.config, weights, packed)
    else:
        model = PackedWeights(bits).apply(model)
    same_logits(model, TEXT, 4, within=0.05)


def test_the_default_model_writes_the_same_in_fewer_passes(engine: Engine) -> None:
    prompt = engine.encode("one two three four five, one two three four five, one two")
    read, sizes = passes(engine.model)
    expected, found = (
        texts(engine, model, prompt, 12, 0) for model in (PrefixCachedModel(engine.model), DraftingModel(read))
    )
    assert [one.token for one in found] == [one.token for one in expected]
    assert len(sizes) < len(found)


@pytest.mark.parametrize("heat", [0.0, 1.0])
def test_an_answer_ends_at_its_end_token_inside_a_draft_or_at_the_most_tokens(engine: Engine, heat: float) -> None:
    said = ("Say hello to the cat.", "Hello to the cat.", "Say hello to the cat.")
    talk = [{"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), said, strict=True)]
    prompt = engine.tokenizer.chat_ids(talk)
    plain, drafted = PrefixCachedModel(engine.model), DraftingModel(engine.model)
    for most in (30, 2, 4):
        expected, found = (texts(engine, model, prompt, most, heat) for model in (plain, drafted))
        assert [one.token for one in found] == [one.token for one in expected]
        assert [one.p for one in found] == pytest.approx([one.p for one in expected], abs=1e-4)
        assert found[-1].stop == expected[-1].stop == ("end token" if most == 30 else "max tokens")
        assert heat or drafted.knows([*prompt, *(one.token for one in found)]), "the draft went on"


def test_a_cancelled_draft_leaves_what_follows_right(tiny: Decoder) -> None:
    asked = iter([False] * 4 + [True])  # what was before takes three layers, and then comes the draft
    model = DraftingModel(tiny.cancellable(lambda: next(asked, False)))
    ids = [5, 17, 3, 80, 5, 17]
    with pytest.raises(Cancelled):
        model.logits(ids)
    assert torch.allclose(model.logits(ids), tiny.forward(torch.tensor([ids])).logits[0, -1], atol=1e-4)


def test_what_was_read_before_is_a_draft_for_the_same_beginning(tiny: Decoder) -> None:
    """A second answer to one prompt often goes on like the first."""
    model = DraftingModel(tiny)
    model.logits([1, 2, 3, 4, 5, 6, 7, 8])
    read = model.tokens_read
    model.logits([1, 2, 9, 3, 4])
    assert model.tokens_read == read + 3 + DRAFTED
    assert model.knows([1, 2, 9, 3, 4, 5, 6])
