"""What a pass reads is counted as the decoder reads it."""

from __future__ import annotations

from pathlib import Path

from llm_holes.lessons.shared.counts import weight_bytes
from tests.support.tiny_families import loaded, write_family


def test_of_several_experts_those_that_a_token_is_given_are_counted(tmp_path: Path) -> None:
    few, all_of_them = (
        loaded(write_family(tmp_path / str(chosen), "mixtral", num_experts_per_tok=chosen)) for chosen in (2, 5)
    )
    read = [weight_bytes(engine) for engine in (few, all_of_them)]
    config = few.model.config
    expert = 3 * config.n_layers * config.d_model * config.d_mlp // 5
    assert read[1] - read[0] == 4 * 3 * expert
