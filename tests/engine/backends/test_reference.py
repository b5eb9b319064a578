"""The doctor's requests: a server that agrees with the engine passes, and one that does not is caught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from llm_holes.engine.backends.backend import Ask
from llm_holes.engine.backends.capabilities import Found
from llm_holes.engine.backends.http import HttpBackend
from llm_holes.engine.backends.local import LocalBackend
from llm_holes.engine.backends.reference import answers, differences, doctor
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Table, Value
from tests.support.backends import asked
from tests.support.faulty_server import Faulty


def told(backend: HttpBackend | LocalBackend) -> dict[str, Value]:
    return [*answers(backend)][-1].measured


def failed(found: Sequence[tuple[str, float, float]]) -> list[str]:
    return [name for name, figure, limit in found if figure > limit]


@pytest.fixture(scope="module")
def ours(engine: Engine) -> dict[str, Value]:
    return told(LocalBackend(engine))


def test_llama_cpp_passes_and_answers_as_the_engine_does(ours: dict[str, Value], llama: Found) -> None:
    last = [*doctor(llama.backend)][-1]
    assert last.measured["failed"] == 0
    table = last.views[0]
    assert isinstance(table, Table)
    assert {str(row[0]) for row in table.rows if row[1] == "yes"} == llama.backend.capabilities
    compared = list(differences(ours, told(llama.backend)))
    assert [name for name, _, _ in compared] == [
        "answers other than the local model's", "largest difference of a chance"
    ]  # fmt: skip
    assert failed(compared) == []


def test_another_model_is_caught(ours: dict[str, Value], faulty: Faulty) -> None:
    with asked(faulty.url("vllm")) as found:
        compared = list(differences(ours, told(found.backend)))
    assert len(failed(compared)) == 2


def test_a_server_that_contradicts_itself_is_caught(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    with asked(faulty.url("vllm")) as found:
        assert [*doctor(found.backend)][-1].measured["failed"] == 0
        body = HttpBackend.body
        calls: list[int] = []

        def shorter(self: HttpBackend, ask: Ask) -> dict[str, object]:
            calls.append(1)
            return body(self, replace(ask, max_tokens=1 + len(calls) % 4))

        monkeypatch.setattr(HttpBackend, "body", shorter)
        last = [*doctor(found.backend)][-1]
    assert last.measured["answers that differ when asked again"] == 3.0
    assert last.measured["failed"] == 1
