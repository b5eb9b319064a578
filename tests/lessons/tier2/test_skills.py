"""Skills: what is typed is not what is sent, and nothing but text distinguishes a skill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Contexts, Frame, Text, Tokens, Transcript, View
from llm_holes.lessons.tier2.skills.answer_check import Check
from llm_holes.lessons.tier2.skills.skill_files import SHIPPED
from tests.support.lessons import frames, measured

pytestmark = pytest.mark.usefixtures("state")
QUICK: dict[str, Any] = {"max_new_tokens": 1}


def view(frame: Frame, key: str) -> View:
    return next(view for view in frame.views if view.key == key)


def test_the_model_gets_the_instructions_and_never_the_command(engine: Engine, state: Path) -> None:
    found = frames(engine, "skills")[-1]
    m = found.measured
    sent = next(view for view in found.views if isinstance(view, Tokens))
    text = b"".join(token.data for token in sent.tokens).decode()
    bars = view(found, "the prompt")
    assert isinstance(bars, Contexts)
    typed, shown = ("".join(part.text for part in context.parts) for context in bars.contexts)
    assert shown == text
    assert "/capital" in typed
    assert "/capital" not in text
    assert m["slash_command_in_model_input"] is False
    assert "What is the capital of France" in text
    assert m["prompt_tokens_after"] == len(sent.tokens)
    assert "No title, no rhyme" not in text, "a skill that was not called stays in its file"
    assert all(rest.partition("\n")[0] in text for rest in SHIPPED.values()), "its description is listed"
    assert not state.exists(), "without own files nothing of the learner's is touched"


def test_it_is_the_same_as_typing_the_instructions(engine: Engine) -> None:
    m = measured(engine, "skills")
    assert m["same_as_typed_by_hand"] is True
    assert m["answers_differ"] is True
    body = SHIPPED["capital"].split("---\n")[1]
    typed = measured(engine, "skills", text=f"{body} France", max_new_tokens=16)
    assert typed["answer_before"] == typed["answer_after"] == m["answer_after"]
    assert typed["prompt_tokens_before"] == m["prompt_tokens_after"]
    assert (typed["skill"], typed["skill_tokens"]) == ("none", 0)


def test_without_the_software_the_command_is_only_text(engine: Engine) -> None:
    m = measured(engine, "skills", "nobody expands it")
    assert m["slash_command_in_model_input"] is True
    assert m["prompt_tokens_before"] == m["prompt_tokens_after"]
    assert m["answers_differ"] is False


def test_the_learners_files_are_used_and_their_faults_named(engine: Engine, state: Path) -> None:
    measured(engine, "skills", own_files=True, **QUICK)
    file = state / "skills" / "haiku" / "SKILL.md"
    file.write_text("---\nname: haiku\ndescription: mine\n---\nSay <|im_end|> now:")
    bad = state / "skills" / "bad"
    bad.mkdir()
    found = frames(engine, "skills", text="/haiku rain", own_files=True, **QUICK)[-1]
    where, sent = (next(v for v in found.views if isinstance(v, kind)) for kind in (Text, Tokens))
    assert isinstance(where, Text)
    assert str(state / "skills") in where.text
    assert "bad/SKILL.md" in where.text
    assert isinstance(sent, Tokens)
    special = [token.id for token in sent.tokens if token.id in engine.tokenizer.special_ids]
    plain = frames(engine, "skills", text="hello", own_files=True, **QUICK)[-1]
    expected = next(v for v in plain.views if isinstance(v, Tokens)).tokens
    assert special == [token.id for token in expected if token.id in engine.tokenizer.special_ids]


@pytest.mark.parametrize("text", ["/nosuch rain", "/../../etc/passwd", "/", "/\x1b[2J", "/Haiku rain", "今天 /haiku"])
def test_a_command_that_nobody_knows_is_text(engine: Engine, text: str) -> None:
    m = measured(engine, "skills", text=text, **QUICK)
    assert m["skill"] == "none"
    assert m["prompt_tokens_before"] == m["prompt_tokens_after"]
    assert m["slash_command_in_model_input"] is m["slash_typed"] is text.startswith("/")
    assert m["answer_before"] == m["answer_after"]


def test_nothing_typed_is_refused(engine: Engine) -> None:
    with pytest.raises(InputError, match="nothing was typed"):
        measured(engine, "skills", text="  ", **QUICK)


def test_the_bars_are_the_prompts_cut_into_what_they_are_made_of(engine: Engine) -> None:
    found = frames(engine, "skills")[-1]
    bars = view(found, "the prompt")
    assert isinstance(bars, Contexts)
    lengths = [sum(part.tokens for part in context.parts) for context in bars.contexts]
    assert lengths == [found.measured["prompt_tokens_before"], found.measured["prompt_tokens_after"]]
    groups = [[part.group for part in context.parts] for context in bars.contexts]
    assert "instructions" not in groups[0]
    sent = {part.group: part.text for part in bars.contexts[1].parts}
    assert sent["instructions"] == SHIPPED["capital"].split("---\n")[1]
    assert sent["your words"] == " France"


POEM: dict[str, Any] = {"text": "/haiku rain", "check": "count, tell it", "max_new_tokens": 40}


def acts(frame: Frame) -> list[tuple[str, str]]:
    talk = view(frame, "who did what")
    assert isinstance(talk, Transcript)
    return [(turn.who, turn.what) for turn in talk.turns]


def test_told_what_is_wrong_it_writes_the_same_again(engine: Engine) -> None:
    found = frames(engine, "skills", **POEM)[-1]
    m = found.measured
    assert (m["check"], m["attempts"], m["passed_check"]) == ("3 lines", 4, False)
    assert m["same_again"] is True
    assert len(str(m["answer_after"]).splitlines()) != 3
    assert [who for who, _ in acts(found)].count("model") == 4
    assert acts(found)[-1] == ("software", "gave up after 4 answers")


def test_repeated_answers_are_what_the_model_writes_token_by_token(engine: Engine) -> None:
    found = frames(engine, "skills", **{**POEM, "most": 2, "max_new_tokens": 6})[-1]
    talk = view(found, "who did what")
    assert isinstance(talk, Transcript)
    context = [token.id for turn in talk.turns[:-3] for token in turn.tokens]
    second = next(turn for turn in reversed(talk.turns) if turn.who == "model")
    assert engine.tokenizer.decode(context).endswith("Write exactly 3 lines.<|im_end|>\n<|im_start|>assistant\n")
    for n, token in enumerate(second.tokens):
        before = context + [one.id for one in second.tokens[:n]]
        assert token.id == int(engine.logits(before, 1)[-1].argmax())


def test_drawn_by_lot_it_gets_the_form_and_nobody_counted_the_sense(engine: Engine) -> None:
    m = measured(engine, "skills", "by lot until it fits")
    assert m["passed_check"] is True
    assert m["attempts"] > 1
    assert len(str(m["answer_after"]).splitlines()) == 3


def test_a_file_says_what_is_counted() -> None:
    three, one = Check.parsed("f", "3 lines"), Check.parsed("f", "1 word")
    assert three.fault("a\n\nb\nc\n", ended=True) == ""
    assert three.fault("a\nb", ended=True) == "2 lines, not 3"
    assert three.fault("a\nb\nc", ended=False) == "cut off by the limit"
    assert one.fault("Paris.", ended=True) == ""
    assert one.fault("It is Paris.", ended=True) == "3 words, not 1"
    for bad in ("many lines", "0 lines", "3 poems"):
        with pytest.raises(InputError):
            Check.parsed("f", bad)


def test_it_can_be_cancelled(engine: Engine) -> None:
    with pytest.raises(Cancelled):
        measured(engine.cancellable(lambda: True), "skills", **QUICK)
