"""The chances of tokens that are given as ids: single bytes too, of which no text could be made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from llm_holes.engine.backends.capabilities import Found, probed
from llm_holes.engine.backends.chances import HALVES, Untold, single_bytes
from llm_holes.engine.backends.local import LocalBackend
from llm_holes.engine.backends.wire import Wire
from llm_holes.engine.engine import Engine
from tests.engine.backends.conftest import Connect
from tests.support.faulty_server import Faulty

TEXT = "\nThe pothole"


def test_llama_cpp_tells_the_chance_of_any_token_after_any(engine: Engine, llama: Found) -> None:
    letters = single_bytes(llama.backend, TEXT)
    assert letters == {byte: engine.encode(chr(byte))[0] for byte in TEXT.encode()}
    for ids in ([letters[byte] for byte in TEXT.encode()], engine.encode(TEXT), [5, 40_000, 7]):
        told, ours = llama.backend.chances(ids), LocalBackend(engine).chances(ids)
        assert [likely.id for likely in told] == ids
        assert [likely.p for likely in told] == pytest.approx([likely.p for likely in ours], rel=1e-2, abs=1e-9)


def test_llama_cpp_says_nothing_of_half_a_character(engine: Engine, llama: Found) -> None:
    with pytest.raises(Untold, match=HALVES):
        llama.backend.chances(engine.encode("\n🫠"))


def test_bytes_of_other_scripts_are_found_in_characters_that_have_them(engine: Engine, llama: Found) -> None:
    text = "é你🌮"
    ids = {engine.tokenizer.token_bytes(i): i for i in range(engine.info.d_vocab)}
    assert single_bytes(llama.backend, text) == {byte: ids[bytes([byte])] for byte in text.encode()}


def test_a_server_that_reads_ids_with_the_prompt_is_asked_once(connect: Connect, faulty: Faulty) -> None:
    backend = probed(connect("vllm").wire, None).backend
    assert "ids" in backend.capabilities
    before = len(faulty.bodies)
    assert [likely.id for likely in backend.chances([3, 5, 7])[1:]] == [5, 7]
    assert [body["prompt"] for body in faulty.bodies[before:]] == [[3, 5, 7]]


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "counts other tokens": lambda said: said.replace(b'"prompt_tokens":', b'"prompt_tokens":9'),
    "writes another": lambda said: said.replace(b'"id":', b'"id":9'),
    "tells the chance after the bias": lambda said: re.sub(rb'"logprob":-[0-9.e-]+', b'"logprob":-0.01', said),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_server_that_takes_ids_for_something_else_has_not_that_capability(
    llama: Found, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = Wire.post

    def otherwise(self: Wire, url: str, body: Mapping[str, Any], *rest: Any) -> bytes:
        answered = post(self, url, body, *rest)
        return WRONG[wrong](answered) if isinstance(body.get("prompt"), list) else answered

    monkeypatch.setattr(Wire, "post", otherwise)
    assert "ids" not in probed(llama.backend.wire, None).backend.capabilities
