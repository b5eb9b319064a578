"""A learner's surroundings: a home of its own for each test, the model cache of the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from llm_holes.engine.checkpoint.installed import ModelFiles
from llm_holes.engine.ipc.client import command_for
from llm_holes.engine.ipc.messages import Ready
from tests.support.paths import ROOT
from tests.support.processes import running
from tests.support.sshd import Server, start_server
from tests.support.talk import Talk


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """What a login sets and nothing else; MARK finds the processes of this test again."""
    folders = {name: str(tmp_path) for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "LLM_HOLES_STATE": str(tmp_path / "state"),
        "MARK": str(tmp_path),
        "NUMBA_CACHE_DIR": str(user_cache_path("llm-holes") / "loops"),
        **folders,
    }


@pytest.fixture
def env(home: dict[str, str], model_files: ModelFiles) -> dict[str, str]:
    """A home from which the machine's models are found; the default one is there."""
    return {**home, "LLM_HOLES_CACHE": str(Path(model_files.folder).parent)}


@pytest.fixture
def ours(tmp_path: Path) -> Callable[[], list[int]]:
    """The processes that live in this test's surroundings."""
    return lambda: running(f"MARK={tmp_path}")


@pytest.fixture
def server(tmp_path: Path, env: dict[str, str]) -> Iterator[Server]:
    """An OpenSSH server on loopback that lets this user in with a key of the test's own."""
    with start_server(tmp_path, env) as started:
        yield started


@pytest.fixture
async def engine(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Talk]:
    """The real engine process with the default model, ready."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    talk = Talk(*command_for("local", threads=1))
    await talk.client.start()
    await talk.until(lambda reply: isinstance(reply, Ready), 60)
    try:
        yield talk
    finally:
        await talk.client.close()
