"""Two real servers with the default model say what the engine says of it."""

from __future__ import annotations

import pytest

from llm_holes.engine.backends.backend import Answer, Ask, answer
from llm_holes.engine.backends.capabilities import Found, known_of
from llm_holes.engine.backends.local import LocalBackend
from llm_holes.engine.engine import Engine

TEXT = Ask("The capital of France is", 12, top=5)
TALK = Ask(({"role": "user", "content": "Name a colour."},), 12, top=5)


@pytest.mark.parametrize("ask", [TEXT, TALK], ids=["text", "messages"])
def test_llama_cpp_writes_the_engine_s_tokens_with_the_engine_s_chances(engine: Engine, llama: Found, ask: Ask) -> None:
    ours, theirs = answer(LocalBackend(engine), ask), answer(llama.backend, ask)
    assert theirs.text == ours.text
    assert [written.token.id for written in theirs.tokens] == [written.token.id for written in ours.tokens]
    assert [written.token.data for written in theirs.tokens] == [written.token.data for written in ours.tokens]
    assert _top(theirs) == pytest.approx(_top(ours), abs=1e-3)
    assert theirs.ended.prompt_tokens == ours.ended.prompt_tokens
    assert theirs.ended.reason == ours.ended.reason


def test_llama_cpp_can_do_nearly_everything(engine: Engine, llama: Found) -> None:
    assert llama.backend.capabilities == {
        "completions", "chat", "top 1", "top 5", "top 20", "top 1000", "tokenize", "template", "ids", "greedy", "seed",
        "tools", "usage", "cached tokens",
    }  # fmt: skip
    assert dict(known_of(llama.served))["d_vocab"] == engine.info.d_vocab


@pytest.mark.parametrize("text", ["Hello café 🫠\n\n  x", "<|im_start|>user"])
@pytest.mark.parametrize("specials", [False, True])
def test_llama_cpp_cuts_a_text_into_the_engine_s_tokens(
    engine: Engine, llama: Found, text: str, specials: bool
) -> None:
    assert llama.backend.encode(text, specials) == LocalBackend(engine).encode(text, specials)
    talk = [{"role": "user", "content": text}]
    assert llama.backend.rendered(talk) == LocalBackend(engine).rendered(talk)


@pytest.mark.parametrize("ask", [TEXT, TALK], ids=["text", "messages"])
def test_transformers_writes_the_engine_s_text_and_tells_no_chances(
    engine: Engine, transformers: Found, ask: Ask
) -> None:
    assert transformers.backend.capabilities == {"completions", "chat", "greedy", "tools", "usage", "tokenize"}
    ours, theirs = answer(LocalBackend(engine), ask), answer(transformers.backend, ask)
    assert theirs.text == ours.text
    assert theirs.ended.prompt_tokens == ours.ended.prompt_tokens
    assert theirs.ended.reason == ours.ended.reason
    assert theirs.tokens == ()


def _top(given: Answer) -> list[float]:
    """The chances of all that could have been written, in the order of their ids."""
    return [p for written in given.tokens for _, p in sorted((likely.id or 0, likely.p) for likely in written.top)]
