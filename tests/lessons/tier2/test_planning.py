"""What the planning lesson says: a plan is text that can be changed, and more text can help or be in the way."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Contexts, Heatmap, Transcript
from llm_holes.lessons.tier2.planning.chooser import Chooser
from llm_holes.lessons.tier2.planning.followed import Kept, Walk, orders
from llm_holes.lessons.tier2.planning.helps import HELPS, Errand, Part
from llm_holes.lessons.tier2.planning.written_plan import steps_in, typed
from tests.support.lessons import frames, measured

PLAN = ("brew a kettle", "add sugar", "serve the tea")
UPSIDE_DOWN = "serve the tea, add sugar, pour water over the tea, brew a kettle"


def test_only_steps_in_turn_count() -> None:
    errand = Errand("t", ("a", "b", "c"))
    assert [errand.due(chosen) for chosen in ([], ["b"], ["a"], ["a", "a", "b", "b", "c"])] == [0, 0, 1, 3]


def test_a_plan_is_the_numbered_lines_up_to_the_first_other_one() -> None:
    assert steps_in("1. a b\n2. c\n3. a b\n4.  d \n\n5. e", 6) == ("a b", "c", "d")
    assert steps_in("1. a\n2. b\n3. c", 2) == ("a", "b")
    assert steps_in("hm", 4) == ()
    assert typed(" a , b,a,, c") == ("a", "b", "c")


@pytest.mark.parametrize("plan", [" , ,", "a", "a, a", "a,b,c,d,e,f,g"])
def test_a_plan_that_cannot_be_carried_out_is_refused(plan: str) -> None:
    with pytest.raises(InputError):
        typed(plan)


def test_help_is_text_before_the_next_step() -> None:
    errand = Errand("t", ("a", "b"), "Note: x\n")

    def text(help_: str) -> str:
        return "".join(part.text for part in errand.parts(["a"], help_))

    plan, done = "Task: t\nPlan:\n1. a\n2. b\n", "Step 1: a\nNote: x\n"
    assert text("none") == f"Task: t\n{done}Step 2:"
    assert text("plan") == f"{plan}{done}Step 2:"
    assert text("plan again") == f"{plan}{done}Plan:\n1. a\n2. b\nStep 2:"
    assert text("checklist").endswith(f"{done}[x] 1. a\n[ ] 2. b\nStep 2:")
    assert text("next step").endswith(f"{done}Done: 1 of 2. Next: b\nStep 2:")


def test_the_chances_of_a_plan_are_those_of_all_its_steps() -> None:
    one = Kept("plan", ((0.5, 0.3, 0.2), (0.1, 0.8, 0.1), (0.2, 0.3, 0.5)), 0.0)
    assert one.mean_right == pytest.approx(0.6)
    assert one.all_right == pytest.approx(0.2)
    assert one.before_a_slip == pytest.approx(0.5 + 0.4 + 0.2)
    assert one.repeats == pytest.approx((0.1 + 0.3) / 2)


def test_a_step_is_chosen_token_by_token_among_those_offered(engine: Engine) -> None:
    options = ("add sugar", "add milk", "serve the tea")
    text = [Part("task", "Task: Make tea.\n"), Part("cue", "Step 1:")]
    chooser = Chooser(engine, options)
    shares = chooser.shares(text)
    ids = chooser.ids(text)
    encode = engine.tokenizer.encode
    add, serve = encode(" add")[0], encode(" serve")[0]
    first = engine.logits(ids)[-1][[add, serve]].softmax(-1)
    sugar, milk = (encode(f" {option}\n")[1] for option in options[:2])
    second = engine.logits([*ids, add])[-1][[sugar, milk]].softmax(-1)
    assert shares == pytest.approx([*(first[0] * second).tolist(), float(first[1])], abs=1e-4)
    lengths = [len(encode(f" {option}\n")) for option in options]
    assert [chooser.forced(option) for option in options] == [lengths[0] - 2, lengths[1] - 2, lengths[2] - 1]


def test_the_attention_is_that_on_the_plans_tokens(engine: Engine) -> None:
    text = Errand("Make tea.", PLAN).parts(PLAN[:1], "plan")
    chooser = Chooser(engine, PLAN)
    found = chooser.attention(text, {"plan"})
    lengths = [len(engine.tokenizer.encode(part.text)) for part in text]
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(engine.info.n_layers)]
    acts = engine.model.forward(torch.tensor([chooser.ids(text)]), taps=names).acts
    places = slice(lengths[0], lengths[0] + lengths[1])
    mass = sum(float(acts[name][0, :, -1, places].sum(-1).mean()) for name in names) / len(names)
    assert found == pytest.approx(mass, abs=1e-4)
    assert 0 < found < 1


def test_the_model_writes_a_plan_and_does_it(engine: Engine) -> None:
    last = frames(engine, "planning")[-1]
    m: dict[str, Any] = last.measured
    assert m["plan_is_its_own"]
    assert m["plan_text"] == m["called"]
    assert m["steps_completed"] == m["steps_total"] == 4
    view = next(view for view in last.views if isinstance(view, Transcript))
    wrote = [b"".join(token.data for token in turn.tokens).decode() for turn in view.turns if turn.who == "model"]
    assert wrote[0].startswith("Plan:\n1. ")
    assert [step.strip() for step in wrote[1:]] == m["called"].split(", ")
    assert len([token for turn in view.turns for token in turn.tokens]) == m["context_tokens"]
    assert m["tokens_by_model"] + m["tokens_by_grammar"] + m["tokens_by_software"] == m["context_tokens"]


def test_a_plan_in_the_text_helps_and_more_text_is_in_the_way(engine: Engine) -> None:
    m = measured(engine, "planning")
    right = m["p_right_step_by_help"]
    assert set(right) == set(HELPS) == set(m["success_by_variant"])
    assert right["plan"] > 0.8 > right["checklist"] > right["none"]
    assert right["plan again"] < right["plan"] - 0.2
    assert m["p_gain_by_next_step"] < -0.1
    assert m["p_right_step"] == right["plan"]


def test_with_long_results_in_between_naming_the_next_step_pays(engine: Engine) -> None:
    m, quiet = measured(engine, "planning", "a page after every step"), measured(engine, "planning")
    assert m["p_gain_by_next_step"] > 0.1
    assert m["p_right_with_plan"] < quiet["p_right_with_plan"] - 0.1


def test_a_plan_upside_down_is_followed_against_habit(engine: Engine) -> None:
    last = frames(engine, "planning", plan=UPSIDE_DOWN)[-1]
    m: dict[str, Any] = last.measured
    assert not m["plan_is_its_own"]
    assert m["p_right_with_plan"] > 0.5 > 0.3 > m["p_right_without_plan"]
    view = next(view for view in last.views if isinstance(view, Heatmap))
    rows = view.values.tolist()
    assert [sum(row) for row in rows] == pytest.approx([1.0] * 8)
    assert sum(rows[n][n] for n in range(4)) / 4 == pytest.approx(m["p_right_step"])


def test_a_few_tokens_in_between_make_it_drift(engine: Engine) -> None:
    m = measured(engine, "planning")
    assert m["p_right_undisturbed"] - 0.3 > max(m["p_right_after_lookalikes"], m["p_right_after_a_line"])
    assert m["p_right_after_a_page"] < m["p_right_after_a_line"]


def test_what_is_read_for_each_step_is_counted(engine: Engine) -> None:
    last = frames(engine, "planning")[-1]
    m: dict[str, Any] = last.measured
    errand = Errand("Make a cup of tea.", tuple(m["plan_text"].split(", ")))
    chooser = Chooser(engine, errand.plan)
    assert m["tokens_read_per_step"] == [len(chooser.ids(errand.parts(errand.plan[:n], "plan"))) for n in range(4)]
    assert sum(m["new_tokens_per_step"]) == m["tokens_with_cache"] == m["tokens_read_per_step"][-1]
    assert m["tokens_sent_again"] == sum(m["tokens_read_per_step"])
    view = next(view for view in last.views if isinstance(view, Contexts))
    assert len(view.contexts) == 2 * m["steps_total"]


def test_a_walk_goes_on_after_a_wrong_step(engine: Engine) -> None:
    walk = Walk(Errand("Make tea.", PLAN), "none")
    assert list(walk.steps(Chooser(engine, PLAN))) == walk.chosen
    assert len(walk.chosen) == 3
    assert walk.parts()[-1].kind == "choice"


def test_orders_begin_with_the_plan_itself() -> None:
    found = orders(PLAN, 3, 0)
    assert found[0] == PLAN
    assert all(sorted(order) == sorted(PLAN) for order in found)
    assert found == orders(PLAN, 3, 0)


def test_any_plan_can_be_tried(engine: Engine) -> None:
    m = measured(engine, "planning", plan='🙂, "<|im_end|>", ein Brot', text="\x1b", variant="checklist", trials=2)
    assert set(m["called"].split(", ")) <= {"🙂", '"<|im_end|>"', "ein Brot"}
    assert m["trials"] == 2
