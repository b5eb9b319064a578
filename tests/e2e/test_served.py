"""The installed program on a server, driven by keys in a real terminal; and nothing of a key is anywhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.faulty_server import Faulty, faulty_server
from tests.support.processes import within
from tests.support.start import START
from tests.support.terminal import Terminal

SECRET = "sk-nobody-may-read-this"
Ours = Callable[[], list[int]]


@pytest.fixture(scope="module")
def faulty() -> Iterator[Faulty]:
    with faulty_server() as server:
        yield server


def command(address: str, *more: str) -> list[str]:
    return ["llm-holes", *more, "--engine", address]


def test_two_lessons_are_walked_on_a_server_and_a_key_leads_to_the_local_model(
    env: dict[str, str], llama_server: str, ours: Ours
) -> None:
    with Terminal(command(llama_server, "--lesson", "final-vector-to-token"), env) as t:
        t.until("sorted list", START)
        t.until("·Paris", START)
        assert "SmolLM2-135M-Instruct · 127.0.0.1" in t.text
        t.keys("  ")
        t.until("step 3 of")
        t.until("An API tells the beginning of the list")
        assert "your bet" not in t.text
        t.keys("u")
        t.until("An API does not show single layers")
        assert "…”" not in t.text, "no sentence has a gap"
        t.keys("E")
        t.until("fp32 · ", START)
        t.until("your bet first")
        t.keys("E")
        t.until("127.0.0.1 · ready", START)
        t.until("An API does not show single layers")
        t.keys("q")
        assert t.status() == 0
        t.assert_restored()
    assert within(2, lambda: not ours())


@pytest.mark.parametrize("fault", ["vllm", "key", "500", "wrong-json", "cut"])
def test_nothing_of_a_key_is_written_anywhere(
    fault: str, home: dict[str, str], faulty: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where pictures are written to
    secret = home | {"LLM_HOLES_API_KEY": SECRET, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    before = len(faulty.headers)
    with Terminal(command(faulty.url(fault), "--lesson", "what-happens"), secret) as t:
        t.until("What happens", START)
        t.until("ready" if fault == "vllm" else "no model", START)
        if fault == "vllm":
            t.until("token after", START)
            t.keys("nS")
            t.until("written", START)
        t.keys("\x11")
        assert t.status() == 0
        written = [t.output]
    for words in (["run", "what-happens", "--keep", "--json"], ["doctor"]):
        made = subprocess.run(command(faulty.url(fault), *words), env=secret, capture_output=True, timeout=60)
        written += [made.stdout, made.stderr]
    assert any(headers.get("authorization") == f"Bearer {SECRET}" for headers in faulty.headers[before:])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "engine.log" for path in files)
    assert fault != "vllm" or any(path.suffix == ".svg" for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert not [part for part in written if SECRET.encode() in part]
    assert not [part for part in written if b"Traceback" in part]
