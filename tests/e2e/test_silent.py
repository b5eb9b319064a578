"""An engine behind a real ssh server that stops saying anything."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from llm_holes.engine.ipc import client
from llm_holes.engine.ipc.messages import Alive, Ready, Run
from tests.e2e.test_app import Ours
from tests.support.paths import SUPPORT
from tests.support.processes import within
from tests.support.sshd import Server
from tests.support.talk import Talk

FAKE = SUPPORT / "fake_engine.py"


def there(ours: Ours) -> list[int]:
    return [pid for pid in ours() if str(FAKE).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")]


async def test_an_engine_stopped_on_another_machine_is_told_and_is_gone_with_the_connection(
    env: dict[str, str], ours: Ours, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SILENCE_SECONDS", 2.0)
    command = shlex.join([sys.executable, str(FAKE), "--heartbeat", "0.2"])
    talk = Talk("ssh", "-F", str(server.config), *client.SSH_OPTIONS, "loopback", command)
    await talk.client.start()
    try:
        await talk.until(lambda reply: isinstance(reply, Ready), 60)
        talk.client.send(Run(1, "deaf", {}))
        await talk.first_frame(1)
        await talk.until(lambda reply: isinstance(reply, Alive))
        (pid,) = there(ours)
        os.kill(pid, signal.SIGSTOP)
        assert "has said nothing for 2 seconds" in (await talk.died()).reason
        assert await asyncio.to_thread(within, 5, lambda: not there(ours))
    finally:
        await talk.client.close()
