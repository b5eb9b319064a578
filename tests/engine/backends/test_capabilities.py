"""What a server can do is known from its answers, and what it cannot do is not asked of it."""

from __future__ import annotations

import pytest

from llm_holes.engine.backends.backend import Ask, Likely, answer, most
from llm_holes.engine.backends.capabilities import TEXT, Found, chosen, probed
from llm_holes.engine.errors import InputError, ModelError
from tests.engine.backends.conftest import Connect
from tests.support.faulty_server import Faulty


def found(connect: Connect, fault: str, name: str | None = None) -> Found:
    return probed(connect(fault).wire, name)


def test_a_server_that_speaks_as_vllm_does(connect: Connect) -> None:
    backend = found(connect, "vllm").backend
    assert backend.capabilities == {
        "completions", "chat", "top 20", "top 5", "top 1", "echo", "prompt chances", "tokenize", "template",
        "ids", "greedy", "tools", "usage", "cached tokens",
    }  # fmt: skip
    assert backend.dialect == "vLLM"
    assert [token.data for token in backend.encode("a b")] == [b"a", b" b"]
    assert backend.rendered([{"role": "user", "content": "Hi you"}]) == "<user>Hi you<assistant>"
    told = answer(backend, Ask(TEXT, 2, top=3))
    assert [written.token.text for written in told.tokens] == [" Paris", ","]
    assert [likely.text for likely in told.tokens[0].top] == [" Paris", " w1", " w2"]
    assert (told.ended.prompt_tokens, told.ended.new_tokens, told.ended.cached_tokens) == (5, 2, 4)
    first, *others = backend.chances(TEXT)
    assert first.p == 1.0
    assert others[0] == Likely(b" capital", pytest.approx(0.6065, abs=1e-4), 7)


def test_a_server_with_messages_only_and_five_chances(connect: Connect, faulty: Faulty) -> None:
    backend = found(connect, "chat-only").backend
    assert backend.capabilities == {"chat", "top 5", "top 1", "greedy", "tools", "usage", "cached tokens"}
    assert most(backend.capabilities) == 5
    answer(backend, Ask(({"role": "user", "content": "Hi"},), 4, top=20, seed=3))
    assert faulty.bodies[-1]["top_logprobs"] == 5
    assert "seed" not in faulty.bodies[-1]
    with pytest.raises(InputError, match="cuts no text"):
        backend.encode("Hi")


def test_a_server_that_only_writes(connect: Connect) -> None:
    assert found(connect, "good").backend.capabilities == {"completions", "chat", "greedy", "tools"}


def test_of_several_models_one_has_to_be_named(connect: Connect) -> None:
    wire = connect("two").wire
    with pytest.raises(ModelError, match="2 models: tiny-0, tiny-1") as told:
        chosen(wire, None)
    assert "--model" in told.value.hint
    assert chosen(wire, "tiny-1").max_model_len == 512


def test_a_server_that_wants_a_key_says_so_before_anything_runs(connect: Connect) -> None:
    with pytest.raises(ModelError, match="401"):
        found(connect, "key")
