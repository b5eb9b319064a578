"""The client and the server, over real pipes, with an engine that has no model."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from llm_holes.engine.frames import Text
from llm_holes.engine.ipc import client
from llm_holes.engine.ipc.client import Died, command_for
from llm_holes.engine.ipc.messages import (
    HEADER,
    VERSION,
    Alive,
    Cancel,
    Cancelled,
    Failed,
    Finished,
    Hello,
    ModelInfo,
    Ready,
    Run,
    Status,
    Unavailable,
    pack,
)
from llm_holes.engine.work import Doing
from tests.support.clock import AtMost
from tests.support.paths import SUPPORT
from tests.support.processes import alive, within
from tests.support.talk import Talk

FAKE = (sys.executable, str(SUPPORT / "fake_engine.py"))


@asynccontextmanager
async def talk(*options: str) -> AsyncIterator[Talk]:
    started = Talk(*FAKE, *options)
    await started.client.start()
    try:
        yield started
    finally:
        await started.client.close()


async def test_greeting_comes_first_and_then_the_model() -> None:
    async with talk() as t:
        await t.until(lambda r: isinstance(r, Ready))
        hello, status, ready = t.replies
        assert isinstance(hello, Hello)
        assert hello.protocol == VERSION
        assert "torch" in hello.versions
        assert isinstance(status, Status)
        assert isinstance(ready, Ready)
        assert isinstance(ready.model, ModelInfo)


async def test_a_run_asked_for_while_loading_is_answered_when_ready() -> None:
    async with talk("--load", "0.3") as t:
        t.client.send(Run(1, "gallery", {"text": "hi"}))
        done = await t.answer(1)
        assert isinstance(done, Finished)
        assert done.settings == {"text": "hi"}
        assert done.ms > 0
        assert [reply.frame.caption for reply in t.frames(1)] == ["Step 1 of 3.", "Step 2 of 3.", "Step 3 of 3."]
        assert t.replies[-1] is done


async def test_cancel_ends_a_run_at_its_next_check(at_most: AtMost) -> None:
    async with talk() as t:
        t.client.send(Run(1, "slow", {}))
        await t.first_frame(1)
        with at_most(0.5):
            t.client.send(Cancel(1))
            assert await t.answer(1) == Cancelled(1)


async def test_cancelling_another_run_changes_nothing() -> None:
    async with talk() as t:
        t.client.send(Run(1, "slow", {}))
        await t.first_frame(1)
        t.client.send(Cancel(7))
        seen = len(t.frames(1))
        await t.until(lambda _: len(t.frames(1)) > seen + 1)


async def test_a_newer_run_cancels_the_older_ones() -> None:
    async with talk() as t:
        t.client.send(Run(1, "slow", {}))
        await t.first_frame(1)
        t.client.send(Run(2, "slow", {}))
        t.client.send(Run(3, "gallery", {}))
        assert isinstance(await t.answer(3), Finished)
        ends = [r for r in t.replies if isinstance(r, Cancelled | Finished)]
        assert ends[:2] == [Cancelled(1), Cancelled(2)]
        assert not t.frames(2)


@pytest.mark.parametrize(
    ("lesson", "error", "hint", "usage"),
    [
        ("refused", "The text is too long.", "Use at most 8,192 tokens.", True),
        ("unfit", "The chat template fails.", "Use another model.", False),
        ("broken", "KeyError: 'layer'", "The engine's log has the details.", False),
        ("out-of-memory", "Not enough memory for this.", "shorter text", False),
    ],
)
async def test_a_failed_run_says_why_and_the_next_one_works(lesson: str, error: str, hint: str, usage: bool) -> None:
    async with talk() as t:
        t.client.send(Run(1, lesson, {}))
        failed = await t.answer(1)
        assert isinstance(failed, Failed)
        assert failed.error == error
        assert hint in failed.hint
        assert failed.usage is usage
        t.client.send(Run(2, "gallery", {}))
        assert isinstance(await t.answer(2), Finished)


async def test_an_engine_rests_when_no_run_waits_any_more() -> None:
    async with talk() as t:
        for number in (1, 2, 3):  # each ends the one before by being there
            t.client.send(Run(number, "slow", {}))
            await t.first_frame(number)
        connection = t.client._connection
        assert connection is not None
        assert b"rested" not in connection._stderr
        t.client.send(Cancel(3))
        await t.answer(3)
        async with asyncio.timeout(5):
            while connection._stderr != b"rested\n":
                await asyncio.sleep(0.01)


async def test_without_a_model_runs_are_refused() -> None:
    async with talk("--unavailable") as t:
        t.client.send(Run(1, "gallery", {}))
        failed = await t.answer(1)
        assert Unavailable("There is no fake model.", "Start the fake without --unavailable.") in t.replies
        assert failed == Failed(1, "There is no fake model.", "Start the fake without --unavailable.")


async def test_what_libraries_print_does_not_reach_the_protocol() -> None:
    async with talk() as t:
        t.client.send(Run(1, "noisy", {}))
        assert isinstance(await t.answer(1), Finished)
        os.kill(t.pid, signal.SIGKILL)
        tail = (await t.died()).stderr_tail
        for line in ("a library says hello", "and so does its C code", "and so does a child"):
            assert line in tail


async def test_more_frames_than_the_pipe_holds_all_arrive() -> None:
    async with talk() as t:
        t.client.send(Run(1, "flood", {}))
        assert isinstance(await t.answer(1, 20), Finished)
        assert [r.frame.caption for r in t.frames(1)] == [f"flood {n}" for n in range(64)]
        view = t.frames(1)[-1].frame.views[0]
        assert isinstance(view, Text)
        assert len(view.text) == 100_000


async def test_death_is_told_within_a_second_and_restart_works(at_most: AtMost) -> None:
    async with talk() as t:
        t.client.send(Run(1, "slow", {}))
        await t.first_frame(1)
        with at_most(1):
            os.kill(t.pid, signal.SIGKILL)
            died = await t.died()
        assert died.returncode == -signal.SIGKILL
        assert "SIGKILL" in died.reason
        t.client.send(Run(2, "gallery", {}))
        await t.client.restart()
        t.client.send(Run(3, "gallery", {}))
        assert isinstance(await t.answer(3), Finished)
        assert sum(isinstance(r, Died) for r in t.replies) == 1


async def test_a_crash_in_native_code_is_told() -> None:
    async with talk() as t:
        t.client.send(Run(1, "crash", {}))
        assert (await t.died(5)).returncode == -signal.SIGSEGV


async def test_a_reply_that_does_not_decode_ends_the_connection_with_a_clear_reason(at_most: AtMost) -> None:
    async with talk("--garbage") as t:
        died = await t.died(5)
        assert "no message" in died.reason
        assert "Welcome" in died.reason
        with at_most(1):
            assert within(10, lambda: not alive(t.pid))


async def test_a_command_that_does_not_exist_is_reported_like_a_death() -> None:
    t = Talk("/nonexistent/llm-holes")
    await t.client.start()
    died = await t.died()
    assert died.returncode == 127
    assert "/nonexistent/llm-holes" in died.reason
    await t.client.close()


async def test_an_engine_that_ends_by_itself_is_told_with_its_last_words() -> None:
    t = Talk("sh", "-c", "echo trying >&2; echo 'llm-holes: command not found' >&2; exit 127")
    await t.client.start()
    died = await t.died()
    assert died.reason == "The engine ended by itself with status 127. llm-holes: command not found"
    assert died.stderr_tail.startswith("trying")
    await t.client.close()


async def test_settings_that_do_not_fit_into_a_message_are_a_failed_run() -> None:
    async with talk() as t:
        t.client.send(Run(1, "gallery", {"text": "\ud800"}))
        failed = await t.answer(1)
        assert isinstance(failed, Failed)
        assert failed.usage
        assert "UTF-8" in failed.error
        t.client.send(Run(2, "gallery", {"text": "x"}))
        assert isinstance(await t.answer(2), Finished)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that waits for half a second instead of a minute."""
    for name, seconds in (("SILENCE_SECONDS", 0.5), ("WATCH_SECONDS", 0.05), ("CLOSE_SECONDS", 0.2)):
        monkeypatch.setattr(client, name, seconds)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("sleep 60", "The engine has said nothing for"),
        (r"printf '\0\0\1\0abc'; exec sleep 60", "The engine has said nothing for"),
        ("exec >&-; exec sleep 60", "The engine closed its output"),
        ("exec yes", "no message"),
        ("exec cat /dev/zero", "no message"),
    ],
    ids=["nothing", "half a message", "closed", "flood", "zeros"],
)
async def test_another_side_that_is_no_engine_is_ended_with_a_sentence(
    program: str, reason: str, at_most: AtMost
) -> None:
    t = Talk("sh", "-c", program)
    await t.client.start()
    t.client.send(Run(1, "gallery", {}))
    assert reason in (await t.died(5)).reason
    with at_most(1):
        assert within(10, lambda: not alive(t.pid))
    await t.client.close()


@pytest.mark.usefixtures("impatient")
async def test_an_engine_that_computes_is_heard_of_and_one_that_was_stopped_is_ended(at_most: AtMost) -> None:
    async with talk("--heartbeat", "0.1") as t:
        t.client.send(Run(1, "deaf", {}))
        await t.first_frame(1)
        await asyncio.sleep(1)
        assert sum(isinstance(reply, Alive) for reply in t.replies) > 3
        assert not any(isinstance(reply, Died) for reply in t.replies)
        os.kill(t.pid, signal.SIGSTOP)
        assert "has said nothing for" in (await t.died(5)).reason
        with at_most(1):
            assert within(10, lambda: not alive(t.pid))


async def test_the_heartbeat_tells_what_the_run_does() -> None:
    async with talk("--heartbeat", "0.05") as t:
        t.client.send(Run(7, "slow", {}))
        told: list[Doing] = []
        async with asyncio.timeout(30):
            while len(told) < 3:
                t.news.clear()
                await t.news.wait()
                told = [r.doing for r in t.replies if isinstance(r, Alive) and r.id == 7 and r.doing is not None]
        done = [doing.work.done for doing in told]
        assert all(doing.work.what == "piece" for doing in told)
        assert done == sorted(done)
        assert done[0] < done[-1]


@pytest.mark.usefixtures("impatient")
async def test_an_engine_that_nothing_is_asked_of_may_be_silent_and_is() -> None:
    async with talk("--heartbeat", "0.1") as t:
        await t.until(lambda r: isinstance(r, Ready))
        await asyncio.sleep(0.3)
        before = len(t.replies)
        await asyncio.sleep(0.8)
        assert len(t.replies) == before
        t.client.send(Run(1, "gallery", {}))
        assert isinstance(await t.answer(1), Finished)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells a process that its parent ended")
def test_an_engine_that_was_stopped_leaves_when_its_parent_is_killed(at_most: AtMost) -> None:
    """As by a hang-up: nobody is left to end it."""
    started = f"p = subprocess.Popen({FAKE!r}, stdin=-1, stdout=-1, start_new_session=True)"
    parent = f"import subprocess, time; {started}; p.stdout.read(99); print(p.pid, flush=True); time.sleep(60)"
    with subprocess.Popen((sys.executable, "-c", parent), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        assert within(2, lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "T")
        process.kill()
    try:
        with at_most(2):
            assert within(10, lambda: not alive(pid))
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("lesson", ["slow", "deaf", "busy", "child"])
async def test_close_leaves_no_process(lesson: str, at_most: AtMost) -> None:
    async with talk() as t:
        t.client.send(Run(1, lesson, {}))
        frame = await t.first_frame(1)
        pid = t.pid
        with at_most(1):
            await t.client.close()
        assert not alive(pid)
        if lesson == "child":
            grandchild = frame.frame.measured["pid"]
            assert isinstance(grandchild, int)
            with at_most(1):
                assert within(10, lambda: not alive(grandchild))
        assert not any(isinstance(reply, Died) for reply in t.replies)


def engine() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        FAKE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.mark.parametrize("lesson", ["deaf", "busy", "flood"])
def test_the_engine_leaves_when_its_input_ends(lesson: str) -> None:
    """No signal is sent: this is what is left when the front end was killed. "flood" is stuck in a full pipe."""
    with engine() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pack(Run(1, lesson, {})))
        process.stdin.flush()
        process.stdout.read(1000 if lesson == "flood" else 1)
        process.stdin.close()
        assert process.wait(1) == 0


def test_the_engine_leaves_while_loading() -> None:
    command = (*FAKE, "--load", "60")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.read(4)
        process.stdin.close()
        assert process.wait(1) == 0


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (b"GET / HTTP/1.1\r\n", "announced"),
        (HEADER.pack(3) + b"abc", "does not decode"),
        (HEADER.pack(2**31), "the limit is"),
        (pack(Cancel(1))[:-1], "inside a message"),
        (b"\x00", "inside a message"),
    ],
)
def test_bytes_that_are_no_request_end_the_engine_with_one_line(sent: bytes, complaint: str) -> None:
    with engine() as process:
        _, err = process.communicate(sent, timeout=20)
        assert process.returncode == 2
        assert err.decode().count("\n") == 1
        assert complaint in err.decode()


def test_local_command_runs_the_worker_with_this_python() -> None:
    assert command_for("local") == [sys.executable, "-m", "llm_holes.lessons.worker"]
    assert command_for("local", "my model", 2)[3:] == ["--model", "my model", "--threads", "2"]
    assert command_for("local", None, None, "cuda:1", "fp32")[3:] == ["--device", "cuda:1", "--dtype", "fp32"]


def test_remote_command_is_quoted_for_the_shell_on_the_other_side() -> None:
    command = command_for("ssh://ann@gpu.example:2222", "it's; rm -rf ~", 4, "cpu", "bf16")
    assert command[0] == "ssh"
    assert command[-4:-1] == ["2222", "--", "gpu.example"]
    echo = subprocess.run(["sh", "-c", f"printf '%s\\n' {command[-1]}"], capture_output=True, text=True, check=True)
    assert echo.stdout.splitlines() == [
        *("llm-holes", "engine", "--model", "it's; rm -rf ~"),
        *("--threads", "4", "--device", "cpu", "--dtype", "bf16"),
    ]


@pytest.mark.parametrize(
    "engine", ["ssh://-oProxyCommand=id", "ssh://a@-b", "ssh://", "ssh://h/x", "remote", "ssh://a b"]
)
def test_an_address_that_is_none_is_refused(engine: str) -> None:
    with pytest.raises(ValueError, match="ssh://"):
        command_for(engine)


def test_a_server_is_asked_by_a_process_of_its_own() -> None:
    command = command_for("https://gpu.example/v1/", "tiny")
    assert command[1:3] == ["-m", "llm_holes.lessons.served_worker"]
    assert command[3:] == ["--url", "https://gpu.example/v1", "--model", "tiny"]
    with pytest.raises(ValueError, match="--threads is for a model that this program loads"):
        command_for("https://gpu.example/v1", threads=2)
    with pytest.raises(ValueError, match="no password"):
        command_for("https://me:secret@gpu.example/v1")
