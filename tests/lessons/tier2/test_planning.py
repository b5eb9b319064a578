"""What the planning lesson says: a plan is text, a checklist is software, and most of the success is the latter."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Transcript
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.model.hook_names import tap
from llm_holes.lessons.tier2.planning.lookup_task import VARIANTS, Attempt, attention_on_plan, errand
from tests.support.lessons import frames, measured

TABLE = {"pear": "3", "melon": "7"}


def test_only_calls_in_turn_count() -> None:
    task = errand("t", "pear, melon, pear", TABLE, "")
    assert [task.done(called) for called in ([], ["melon"], ["pear"], ["pear", "pear", "melon", "melon", "pear"])] == [
        0, 0, 1, 3,
    ]  # fmt: skip


@pytest.mark.parametrize("plan", ["", " , ,", "a,b,c,d,e,f,g,h,i", "a" * 25])
def test_a_plan_that_cannot_be_run_is_refused(plan: str) -> None:
    with pytest.raises(InputError):
        errand("t", plan, TABLE, "")


def test_the_checklist_asks_again_until_a_step_is_done() -> None:
    attempt = Attempt(errand("t", "pear, melon", TABLE, ""), "checklist")
    assert attempt.cue() == "Done: 0 of 2. Next step: pear."
    attempt.called = ["melon"]
    assert attempt.cue() == "Done: 0 of 2. Next step: pear."
    attempt.called = ["melon", "pear", "melon"]
    assert attempt.cue() == "Done: 2 of 2. Next step: none."


def test_most_of_a_small_models_success_is_the_harness(engine: Engine) -> None:
    m = measured(engine, "planning")
    assert m["steps_total"] == 3
    assert set(m["success_by_variant"]) == set(VARIANTS)
    assert m["success_by_variant"]["checklist"] == 1
    assert m["gain_by_checklist"] == m["steps_with_checklist"] - m["steps_with_plan"] > 1
    assert m["tokens_by_model"] < 10 < m["tokens_by_software"]
    parts = m["tokens_by_model"] + m["tokens_by_grammar"] + m["tokens_by_software"]
    assert parts == m["context_tokens"]


def test_a_plan_read_out_again_gets_more_attention_and_noise_takes_some(engine: Engine) -> None:
    quiet, noisy = measured(engine, "planning"), measured(engine, "planning", "noise in between")
    weights = quiet["attention_by_variant"]
    assert weights["none"] == 0 < weights["plan"] < weights["plan again"] < 1
    assert noisy["attention_by_variant"]["plan"] < weights["plan"]
    assert noisy["context_tokens"] > quiet["context_tokens"] + 60


def test_a_plan_against_the_task_is_not_simply_followed(engine: Engine) -> None:
    m = measured(engine, "planning", "a plan against the task")
    assert m["steps_with_checklist"] < m["steps_total"]


def test_the_attention_is_that_on_the_plans_tokens(engine: Engine) -> None:
    attempt = Attempt(errand("Find prices.", "pear, melon", TABLE, ""), "plan")
    model = PrefixCachedModel(engine.model)
    list(attempt.run(engine, model, SamplingParams()))
    found = attention_on_plan(engine, model, attempt)
    text = engine.tokenizer.decode([attempt.context[place] for place in attempt.marked])
    assert text == "Plan: 1. pear. 2. melon."
    before = torch.tensor([attempt.context[: attempt.decided_at]])
    names = [tap(layer, "attn.hook_pattern") for layer in range(engine.info.n_layers)]
    acts = engine.model.forward(before, taps=names).acts
    mass = sum(acts[name][0, :, -1, attempt.marked].sum(0).mean() for name in names) / len(names)
    assert found == pytest.approx(mass, abs=1e-4)


def test_any_names_can_be_planned_with(engine: Engine) -> None:
    last = frames(engine, "planning", plan='🙂, "<|im_end|>"', trials=1, variant="plan again", text="\x1b")[-1]
    (view,) = [view for view in last.views if isinstance(view, Transcript)]
    assert len([token for turn in view.turns for token in turn.tokens]) == last.measured["context_tokens"]
    assert set(last.measured["called"].split(", ")) <= {"🙂", '"<|im_end|>"', "apple", "grape", "melon", "pear", "plum"}
