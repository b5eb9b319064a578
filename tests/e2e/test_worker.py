"""The real engine process, asked directly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_holes.engine.ipc.client import command_for
from llm_holes.engine.ipc.messages import Cancel, Cancelled, Failed, Finished, Ready, Run
from llm_holes.lessons.catalog import catalog
from tests.support import tiny_gguf
from tests.support.clock import AtMost
from tests.support.processes import alive, within
from tests.support.talk import Talk


async def test_lessons_run_and_requests_that_cannot_be_run_say_why(engine: Talk) -> None:
    engine.client.send(Run(1, "no-such-lesson", {}))
    failed = await engine.answer(1)
    assert isinstance(failed, Failed)
    assert failed.usage
    assert "no-such-lesson" in failed.error
    engine.client.send(Run(2, "kv-cache", {"max_new_tokens": 99_999}))
    failed = await engine.answer(2)
    assert isinstance(failed, Failed)
    assert failed.usage
    assert "max_new_tokens" in failed.error
    engine.client.send(Run(3, "tokens", {"text": "Hello"}))
    done = await engine.answer(3)
    assert isinstance(done, Finished)
    assert done.settings == catalog.load()["tokens"].defaults() | {"text": "Hello"}
    assert engine.frames(3)[-1].frame.measured["characters"] == 5


async def test_a_run_is_cancelled_in_the_middle_of_its_work(engine: Talk, at_most: AtMost) -> None:
    engine.client.send(Run(1, "kv-cache", {}))
    await engine.first_frame(1)
    with at_most(1):
        engine.client.send(Cancel(1))
        assert await engine.answer(1) == Cancelled(1)


async def test_the_engine_is_gone_in_a_second_in_the_middle_of_its_work(engine: Talk, at_most: AtMost) -> None:
    engine.client.send(Run(1, "kv-cache", {}))
    await engine.first_frame(1)
    pid = engine.pid
    with at_most(1):
        await engine.client.close()
    assert not alive(pid)


async def test_the_engine_is_gone_in_a_second_in_the_middle_of_a_chat_template(
    home: dict[str, str],
    tmp_path: Path,
    ours: Callable[[], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    at_most: AtMost,
) -> None:
    for name, value in (home | {"LLM_HOLES_CACHE": str(tmp_path / "cache")}).items():
        monkeypatch.setenv(name, value)
    folder = tiny_gguf.write_folder(tmp_path / "m")
    (folder / "chat_template.jinja").write_text("{{ 9 ** (9 ** 9) }}")
    talk = Talk(*command_for("local", str(folder), threads=1))
    await talk.client.start()
    await talk.until(lambda reply: isinstance(reply, Ready), 60)
    talk.client.send(Run(1, "prefill-decode", {}))
    while len(ours()) < 2:
        await asyncio.sleep(0.05)
    connection = talk.client._connection
    assert connection is not None
    with at_most(1):
        await talk.client.close()
    assert connection._transport is not None
    assert connection._transport.get_returncode() == 0, "it left by itself"
    with at_most(1):
        assert within(10, lambda: not ours())


async def test_the_log_has_what_the_engine_printed(engine: Talk, tmp_path: Path) -> None:
    """A message that does not decode ends the engine with one line."""
    connection = engine.client._connection
    assert connection is not None
    stdin = connection._stdin()
    assert stdin is not None
    stdin.write(b"\0\0\0\1x")
    died = await engine.died(2)
    assert died.returncode == 2
    log = (tmp_path / "llm-holes" / "log" / "engine.log").read_text()
    assert "does not decode" in log
    assert "does not decode" in died.reason
