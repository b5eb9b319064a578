"""Lessons on a model whose chat template lacks what they send, or that has none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_holes.engine.checkpoint.store import locate
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame, Text
from llm_holes.engine.tokenizer.turns import NO_SYSTEM, NO_TEMPLATE
from llm_holes.engine.work import Watch
from llm_holes.lessons.worker import EngineHost
from tests.support import tiny_gguf

NO_SYSTEM_TEMPLATE = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|over|>{% endfor %}"
    "{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)


def host(folder: Path, template: str | None) -> EngineHost:
    """A tiny model without ChatML, with a context long enough for every lesson."""
    tiny_gguf.write_folder(folder, max_position_embeddings=8192)
    text = (folder / "tokenizer.json").read_text().replace("<|im_start|>", "<|turn|>").replace("<|im_end|>", "<|over|>")
    (folder / "tokenizer.json").write_text(text)
    config = {"eos_token": "<|over|>", **({"chat_template": template} if template else {})}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    made = EngineHost(str(locate(str(folder), lambda status: None).folder), 1, "cpu")
    made.load(lambda status: None)
    return made


@pytest.fixture(scope="module")
def no_system(tmp_path_factory: pytest.TempPathFactory) -> EngineHost:
    return host(tmp_path_factory.mktemp("models") / "no-system", NO_SYSTEM_TEMPLATE)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> EngineHost:
    return host(tmp_path_factory.mktemp("models") / "base", None)


def first(made: EngineHost, lesson: str, **settings: Any) -> Frame:
    _, frames = made.run(lesson, settings, Watch(), None)
    return next(frames)


def said(frame: Frame) -> str:
    return "".join(view.text for view in frame.views if isinstance(view, Text) and view.title == "about the prompt")


@pytest.mark.parametrize("lesson", ["tool-calls", "skills", "memory"])
def test_the_system_text_goes_into_the_users_message_and_that_is_said(lesson: str, no_system: EngineHost) -> None:
    assert said(first(no_system, lesson)) == NO_SYSTEM


@pytest.mark.parametrize("lesson", ["what-happens", "planning"])
def test_what_needs_no_change_says_nothing(lesson: str, no_system: EngineHost) -> None:
    assert said(first(no_system, lesson)) == ""


PLAIN = [
    "what-happens", "final-vector-to-token", "paged-attention", "quantization", "kv-cache-offloading", "stopping",
    "prefill-decode", "kv-cache", "planning", "skills", "memory",
]  # fmt: skip


@pytest.mark.parametrize("lesson", PLAIN)
def test_a_base_model_runs_on_plain_text_and_that_is_said(lesson: str, base: EngineHost) -> None:
    settings = {"chat_template": True} if lesson == "final-vector-to-token" else {}
    assert said(first(base, lesson, **settings)) == NO_TEMPLATE


@pytest.mark.parametrize("lesson", ["tool-calls", "thinking"])
def test_what_needs_a_chat_says_so(lesson: str, base: EngineHost) -> None:
    with pytest.raises(InputError, match="needs a chat") as caught:
        first(base, lesson)
    assert "instruct model" in caught.value.hint


def test_the_pipeline_says_that_there_is_no_template(base: EngineHost) -> None:
    (stage, *_) = first(base, "what-happens").views[0].stages  # type: ignore[union-attr]
    assert stage.produced == "this model has none: the bare text goes in"
