"""A lesson says in a sentence what the model in front of it does not have, and nothing about one that has it all."""

from __future__ import annotations

from typing import Any

import pytest

from llm_holes.engine.model.config import Config, from_hugging_face
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.shared.model_limits import about


def config(family: str, **more: Any) -> Config:
    sizes = {"hidden_size": 48, "intermediate_size": 80, "max_position_embeddings": 64, "vocab_size": 97}
    layers = {"num_hidden_layers": 2, "num_attention_heads": 6, "rms_norm_eps": 1e-5}
    return from_hugging_face({"model_type": family, **sizes, **layers, **more})


@pytest.mark.parametrize(
    ("family", "lesson", "said"),
    [
        ("gpt2", "mqa-gqa", "no sharing to undo"),
        ("gpt2", "attention", "no query or key is turned"),
        ("gpt_neox", "ffn", "no gate"),
        ("gpt_neox", "layer-transforms", "bends with GELU"),
        ("mixtral", "ffn", "8 experts, of which each token gets 2"),
    ],
)
def test_what_a_family_cannot_show_is_said(family: str, lesson: str, said: str) -> None:
    assert any(said in sentence for sentence in about(lesson, config(family, num_key_value_heads=6)))


def test_of_a_model_that_has_it_all_nothing_is_said() -> None:
    llama = config("llama", num_key_value_heads=2)
    assert not [lesson for lesson in catalog.load().lessons if about(lesson, llama)]
