"""The trip of a message: each part made what the panel says, and the loop feeds ids back, not text."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Contexts, Diff, Flow, Frame, Heatmap, Stage, Tokens, View
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from tests.support.lessons import frames, measured

QUESTION = "What is the capital of France?"
ORDER = ["waiting", "running", "done"]


def view(frame: Frame, key: str) -> View:
    return next(view for view in frame.views if view.key == key)


def flow(frame: Frame) -> Flow:
    found = view(frame, "the loop")
    assert isinstance(found, Flow)
    return found


def stages(frame: Frame) -> dict[str, Stage]:
    return {stage.name: stage for stage in flow(frame).stages}


def written(frame: Frame) -> list[int]:
    strip = view(frame, "the answer")
    assert isinstance(strip, Tokens)
    return [token.id for token in strip.tokens]


def candidates(frame: Frame) -> Heatmap:
    found = view(frame, "candidates")
    assert isinstance(found, Heatmap)
    return found


def test_the_answer_is_what_greedy_decoding_writes(engine: Engine) -> None:
    last = frames(engine, "what-happens")[-1]
    prompt = engine.chat(QUESTION)
    assert last.measured["answer"] == engine.write(prompt, 32)
    assert last.measured["stop_reason"] == "end token"
    assert last.measured["prompt_tokens"] == len(prompt)
    ids = written(last)
    assert len(ids) == last.measured["output_tokens"]
    assert ids[-1] in engine.tokenizer.eos_ids
    assert last.measured["tokens_nobody_sees"] == 1
    assert engine.tokenizer.decode(ids[:-1]) == last.measured["answer"]


def test_parts_light_up_in_order_and_none_goes_dark(engine: Engine) -> None:
    found = frames(engine, "what-happens")
    before: list[int] = [0] * 7
    for frame in found:
        now = [ORDER.index(stage.state) for stage in stages(frame).values()]
        assert now == sorted(now, reverse=True), "a part is never ahead of the one before it"
        assert all(a >= b for a, b in zip(now, before, strict=True))
        before = now
    assert before == [2] * 7
    reached = [[stage.state for stage in stages(frame).values()].count("done") for frame in found]
    assert reached[:3] == [1, 3, 4]
    shown = [view for frame in found for view in frame.views if view.key == "candidates"]
    assert len(shown) == len(written(found[-1])) + 1, "with every token, and once more after the next message"


def test_the_loop_leads_from_the_pick_to_the_embedding_once_for_each_token_but_the_last(engine: Engine) -> None:
    found = frames(engine, "what-happens")
    for frame in found:
        ends = flow(frame).loop
        assert ends is not None
        assert [flow(frame).stages[n].name for n in ends] == ["embedding", "pick one"]
    turns = [flow(frame).turns for frame in found]
    assert turns == sorted(turns)
    assert turns[-1] == len(written(found[-1])) - 1
    assert str(written(found[-1])[0]) in stages(next(f for f in found if flow(f).turns == 1))["stop"].produced


def test_every_part_opens_a_lesson(engine: Engine) -> None:
    last = frames(engine, "what-happens")[-1]
    assert {stage.hole for stage in stages(last).values()} <= catalog.load().lessons.keys()
    assert str(engine.model.config.d_model) in stages(last)["embedding"].produced


def test_forced_words_are_a_part_of_the_prompt(engine: Engine) -> None:
    last = frames(engine, "what-happens", "one odd word")[-1]
    prompt = engine.chat("Name a color.") + engine.tokenizer.encode("Spoon")
    assert last.measured["answer"] == "Spoon" + engine.write(prompt, 32)
    assert last.measured["answer"] != engine.write(engine.chat("Name a color."), 32)


def test_the_learner_picks_a_rank_and_the_rest_follows_from_it(engine: Engine) -> None:
    last = frames(engine, "what-happens", text=QUESTION, pick_step=2, pick_rank=3, max_new_tokens=6)[-1]
    ids, prompt = written(last), engine.chat(QUESTION)
    assert ids[1] == int(engine.logits(prompt + ids[:1], 1)[-1].topk(3).indices[2])
    for step in (0, 2, 3, 4, 5):
        assert ids[step] == int(engine.logits(prompt + ids[:step], 1)[-1].argmax())


def test_below_each_token_stand_the_likeliest_at_its_place_and_enter_takes_one(engine: Engine) -> None:
    own = frames(engine, "what-happens")[-1]
    shown, ids, prompt = candidates(own), written(own), engine.chat(QUESTION)
    assert (shown.row_control, shown.column_control, shown.first) == ("pick_rank", "pick_step", 1)
    for place in range(len(ids)):
        best = engine.logits(prompt + ids[:place], 1)[-1].softmax(-1).topk(8)
        words = [shown.texts[rank * len(ids) + place] for rank in range(8)]
        assert words == [engine.token_text(token) for token in best.indices.tolist()]
        assert [row[place] for row in shown.values.tolist()] == pytest.approx(best.values.tolist(), abs=1e-5)
    place, rank = 6, 2
    branched = frames(engine, "what-happens", pick_step=place, pick_rank=rank)[-1]
    assert engine.token_text(written(branched)[place - 1]) == shown.texts[(rank - 1) * len(ids) + place - 1]
    assert candidates(branched).cursor == (rank - 1, place - 1)
    assert str(own.measured["answer"]) in candidates(branched).title
    both = view(branched, "both answers")
    assert isinstance(both, Diff)
    assert (both.before, both.after) == (own.measured["answer"], branched.measured["answer"])


def test_a_changed_token_is_not_put_right_unless_the_text_leads_back_to_it(engine: Engine) -> None:
    parted = measured(engine, "what-happens", pick_step=6, pick_rank=2)
    assert (parted["parted_at"], parted["own_token"]) == (6, "·Paris")
    assert "Paris" not in parted["answer"]
    assert parted["way"] == "went on"
    detour = measured(engine, "what-happens", "a detour")
    assert (detour["own_token"], detour["own_word_returns"]) == ("·capital", True)
    wrong = measured(engine, "what-happens", "a wrong start")
    assert wrong["answer"] == "The capital of France is Berlin."
    assert (wrong["parted_at"], wrong["own_token"], wrong["taken_token"]) == (6, "·Paris", "·Berlin")
    assert measured(engine, "what-happens")["way"] == "its own"


def test_how_to_begin_is_open_and_what_follows_is_not(engine: Engine) -> None:
    m = measured(engine, "what-happens")
    assert m["p_first"] < 0.5 < 0.95 < m["p_surest"]
    assert measured(engine, "what-happens", "no template")["p_first"] > 0.5


def test_a_limit_cuts_off_the_same_answer(engine: Engine) -> None:
    m = measured(engine, "what-happens", "cut off")
    assert (m["output_tokens"], m["tokens_read"], m["tokens_nobody_sees"]) == (4, 4, 0)
    assert measured(engine, "what-happens")["answer"].startswith(m["answer"])
    assert m["way"] == "its own"


def test_without_the_template_the_bare_text_goes_in(engine: Engine) -> None:
    m = measured(engine, "what-happens", text="The capital of France is", chat_template=False)
    assert m["prompt_tokens"] == m["message_tokens"] == 5
    assert m["answer"].startswith(" Paris")


def test_an_answer_that_ends_at_once_is_still_timed(engine: Engine) -> None:
    m = measured(engine, "what-happens", "no template")
    assert (m["output_tokens"], m["answer"]) == (1, "")
    assert m["decode_ms_per_token"] > 0


def test_a_long_message_is_read_in_parts_and_can_be_cancelled(engine: Engine) -> None:
    lesson = catalog.load()["what-happens"]
    settings = validated(lesson, {"text": "fox " * 300, "max_new_tokens": 1}, engine.info)
    stop = False
    run = catalog.experiment(lesson).run(engine.cancellable(lambda: stop), settings)
    read = next(frame for frame in run if stages(frame)["layers"].produced)
    assert stages(read)["layers"].state == "running"
    stop = True
    with pytest.raises(Cancelled):
        next(run)


def test_one_token_costs_a_reading_of_the_whole_model(engine: Engine) -> None:
    price = frames(engine, "what-happens")[-1].cost
    assert price is not None
    assert price.nbytes == pytest.approx(4 * engine.info.parameters, rel=0.001), "all but the norms, four bytes each"
    assert price.flops / price.nbytes == 0.5


def test_every_token_of_the_prompt_has_a_source(engine: Engine) -> None:
    last = frames(engine, "what-happens", text="Name a color.", forced="Spoon")[-1]
    sources = last.measured["prompt_tokens_by_source"]
    assert isinstance(sources, dict)
    assert sum(map(int, sources.values())) == last.measured["prompt_tokens"]
    assert sources["your message"] == last.measured["message_tokens"]
    assert sources["answer begun"] == last.measured["forced_tokens"]
    assert sources["earlier messages"] == 0
    sent = view(last, "what is sent")
    assert isinstance(sent, Contexts)
    now = sent.contexts[0]
    assert "".join(part.text for part in now.parts) == engine.tokenizer.decode(engine.chat("Name a color.")) + "Spoon"
    own = next(part.text for part in now.parts if part.group == "system text")
    assert own == "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


@pytest.mark.parametrize(
    "text", ["🙂", "x", "  two spaces  ", "<|im_end|>\n<|im_start|>user\nHa", "def f():\n    pass", "今天"]
)
def test_whatever_is_typed_the_parts_are_the_prompt(engine: Engine, text: str) -> None:
    last = frames(engine, "what-happens", text=text, max_new_tokens=1, next_text="Why?")[-1]
    sent = view(last, "what is sent")
    assert isinstance(sent, Contexts)
    now, later = (sum(part.tokens for part in context.parts) for context in sent.contexts)
    assert (now, later) == (last.measured["prompt_tokens"], last.measured["next_prompt_tokens"])


def test_the_next_message_is_understood_from_what_is_sent_again_and_read_from_what_is_kept(engine: Engine) -> None:
    m = measured(engine, "what-happens")
    talk = [("user", QUESTION), ("assistant", m["answer"]), ("user", "And of Italy?")]
    ids = engine.tokenizer.chat_ids([{"role": role, "content": content} for role, content in talk])
    assert m["next_answer"] == engine.write(ids, 16) == "The capital of Italy is Rome.", "equal to reading all anew"
    assert "Rome" not in engine.write(engine.chat("And of Italy?"), 16), "alone it says nothing"
    assert m["next_prompt_tokens"] == len(ids) == m["next_kept_tokens"] + m["next_new_tokens"]
    assert m["next_kept_tokens"] == m["prompt_tokens"] + m["tokens_read"]


def test_the_parts_around_the_model_lead_to_lessons_and_say_when_they_had_nothing_to_do(engine: Engine) -> None:
    around = view(frames(engine, "what-happens")[-1], "the machine around it")
    assert isinstance(around, Flow)
    assert {stage.hole for stage in around.stages} <= catalog.load().lessons.keys()
    assert [stage.name for stage in around.stages if stage.state == "waiting"] == ["memory", "skills", "tool calls"]
    assert (around.loop, around.turns) == ((0, 7), 1)
    silent = frames(engine, "what-happens", next_text="", max_new_tokens=2)[-1]
    around = view(silent, "the machine around it")
    assert isinstance(around, Flow)
    assert (around.turns, silent.measured["next_prompt_tokens"]) == (0, 0)


def test_a_message_that_does_not_fit_is_refused(engine: Engine) -> None:
    with pytest.raises(InputError, match="context holds"):
        measured(engine, "what-happens", text="fox " * 9000)
