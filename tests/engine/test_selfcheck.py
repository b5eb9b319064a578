"""Our decoder against transformers' own on the default model, and the self-checks `llm-holes doctor` prints."""

from __future__ import annotations

import torch

from llm_holes.engine import selfcheck
from llm_holes.engine.engine import Engine
from llm_holes.engine.model.decoder import Decoder
from llm_holes.lessons.shared.passage import passage


def test_logits_equal_transformers_on_the_default_model(engine: Engine) -> None:
    from transformers import LlamaForCausalLM

    reference = LlamaForCausalLM.from_pretrained(engine.files.folder, dtype=torch.float32, attn_implementation="eager")
    ids = engine.encode(passage())[:200]
    with torch.no_grad():
        expected = reference.eval()(torch.tensor([ids])).logits[0]
    assert (engine.logits(ids) - expected).abs().max().item() <= 1e-4


def test_every_self_check_holds(engine: Engine) -> None:
    final = list(selfcheck.run(engine, {}))[-1]
    assert final.measured["failed"] == 0
    assert len(final.measured) == len(selfcheck.CHECKS) + 1


def test_a_wrong_model_fails_the_self_checks(engine: Engine) -> None:
    """A decoder that forgets to scale its scores must not pass as the real one."""
    from dataclasses import replace

    q = {n: w * 1.01 for n, w in engine.model.weights.items() if "q_proj" in n}
    wrong = replace(engine, model=Decoder(engine.model.config, {**engine.model.weights, **q}))
    assert not selfcheck.transformers_logits(wrong, wrong.encode(selfcheck.TEXT)).ok
