"""The model store: what is found, what is said, and what is left on disk when something goes wrong."""

from __future__ import annotations

import errno
import hashlib
import os
import select
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.numpy import load_file

from llm_holes.engine.checkpoint import convert, download, installed, store
from llm_holes.engine.errors import ModelError
from llm_holes.engine.ipc.messages import Status
from tests.support import tiny_gguf
from tests.support.clock import AtMost
from tests.support.locate import LOCATE, last, start


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tiny_gguf.write_gguf(tmp_path / "tiny.gguf")
    return tmp_path / "tiny.gguf"


def quiet(status: Status) -> None:
    pass


def visible(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if p.name != ".lock")


def test_a_gguf_is_converted_once_then_found(model: Path, cache: Path) -> None:
    seen: list[Status] = []
    files = store.locate(str(model), seen.append)
    assert {s.phase for s in seen} == {"converting"}
    assert files.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert (files.name, files.gguf, files.weight_format) == ("tiny", str(model), "F32 file, fp32 in memory")
    assert "lm_head.weight" in load_file(Path(files.folder) / "model.safetensors")
    seen.clear()
    assert store.locate(str(model), seen.append) == files
    assert not seen, "a warm start has nothing to report"
    assert store.locate("tiny", quiet) == files, "and its name is enough from now on"
    assert [(c.name, c.folder) for c in installed.models()] == [("tiny", files.folder)]
    assert installed.models()[0].bytes > 300_000
    assert installed.verify(files) == []


def test_a_changed_gguf_is_converted_again(model: Path) -> None:
    before = store.locate(str(model), quiet)
    tiny_gguf.write_gguf(model, "qwen2")
    after = store.locate(str(model), quiet)
    assert after.folder != before.folder
    assert after.sha256 != before.sha256


def test_a_warm_default_is_found_within_50_ms(
    model_files: installed.ModelFiles, monkeypatch: pytest.MonkeyPatch, at_most: AtMost
) -> None:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(Path(model_files.folder).parent))
    store.locate(None, quiet)
    with at_most(0.05):
        assert store.locate(None, quiet) == model_files
    assert model_files.sha256 == download.GGUF_SHA256
    assert model_files.weight_format == "Q4_1 file, fp32 in memory"
    assert Path(model_files.gguf).stat().st_size == download.GGUF_BYTES


def truncate_weights(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 1000)


def remove_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def garble_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize("damage", [truncate_weights, remove_tokenizer, garble_manifest, remove_manifest])
def test_a_damaged_cache_is_replaced_and_said(damage: Callable[[Path], None], model: Path, cache: Path) -> None:
    files = store.locate(str(model), quiet)
    damage(Path(files.folder))
    assert installed.models() == []
    seen: list[Status] = []
    assert store.locate(str(model), seen.append) == files
    assert "is damaged or old" in seen[0].message
    assert installed.verify(files) == []
    assert visible(cache) == [Path(files.folder).name], "the damaged copy goes once the new one is there"


def test_what_an_older_converter_made_is_made_anew(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installed, "CONVERTER", installed.CONVERTER - 1)
    files = store.locate(str(model), quiet)
    (Path(files.folder) / "tokenizer_config.json").touch()
    monkeypatch.undo()
    monkeypatch.setenv("LLM_HOLES_CACHE", str(cache))
    seen: list[Status] = []
    assert installed.models() == []
    assert store.locate(str(model), seen.append) == files
    assert {status.phase for status in seen} == {"downloading", "converting"}
    assert [model.name for model in installed.models()] == ["tiny"]
    folder = tiny_gguf.write_folder(tmp_path / "hub" / "models--me--tiny" / "snapshots" / "abc")
    assert store.locate(str(folder), quiet).folder == str(folder), "what was not converted stays as it is"


def test_verify_finds_a_change_that_keeps_the_size(model: Path) -> None:
    files = store.locate(str(model), quiet)
    with (Path(files.folder) / "model.safetensors").open("r+b") as handle:
        handle.seek(-1, os.SEEK_END)
        handle.write(b"\x55")
    assert store.locate(str(model), quiet) == files
    assert installed.verify(files) == ["model.safetensors"]
    (Path(files.folder) / "config.json").unlink()
    assert installed.verify(files) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("failure", [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
def test_a_failing_disk_is_explained_and_leaves_nothing(
    failure: int, model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_some(*arguments: Any) -> None:
        arguments[3].write_bytes(b"half")
        raise OSError(failure, os.strerror(failure))

    monkeypatch.setattr(convert, "_write_weights", write_some)
    full = failure in (errno.ENOSPC, errno.EDQUOT)
    with pytest.raises(ModelError, match="too full" if full else "cannot write") as caught:
        store.locate(str(model), quiet)
    assert "LLM_HOLES_CACHE" in caught.value.hint
    assert visible(cache) == []


def test_too_little_room_is_known_before_the_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    monkeypatch.setattr(download, "fetch_default", lambda *_: pytest.fail("it started to download"))
    with pytest.raises(ModelError, match="too full"):
        store.locate(None, quiet)


def test_a_cache_that_cannot_be_written_is_explained(cache: Path, model: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="cannot write the model"):
        store.locate(str(model), quiet)


def test_rests_of_a_killed_start_are_cleaned(model: Path, cache: Path) -> None:
    rest = cache / ".tmp-tiny-123"
    rest.mkdir(parents=True)
    (rest / "model.safetensors").write_bytes(b"half")
    assert installed.models() == []
    files = store.locate(str(model), quiet)
    assert visible(cache) == [Path(files.folder).name]


WAITING = LOCATE.replace(
    "from llm_holes.engine.errors",
    """
import os, time
from pathlib import Path
from llm_holes.engine.checkpoint import convert
real = convert.convert
def slow(*arguments):
    log = Path(os.environ["TEST_LOG"])
    with log.open("a") as out:
        out.write("converting\\n")
    while not log.with_suffix(".go").exists():
        time.sleep(0.01)
    real(*arguments)
convert.convert = slow
from llm_holes.engine.errors""",
)


def test_two_first_starts_convert_once(model: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    both = [start(str(model), WAITING, TEST_LOG=str(log)) for _ in range(2)]
    deadline = time.monotonic() + 30
    waits = False
    while not waits and time.monotonic() < deadline:
        # one of them waits for the lock and says so; the other has said nothing yet
        ready, _, _ = select.select([p.stdout for p in both if p.stdout], [], [], 1)
        waits = any("waiting" in stream.readline() for stream in ready)
    assert waits
    log.with_suffix(".go").touch()
    found = [last(process) for process in both]
    assert found[0]["files"] == found[1]["files"]
    assert log.read_text() == "converting\n"


def test_a_folder_is_used_where_it_is(tmp_path: Path, cache: Path) -> None:
    folder = tiny_gguf.write_folder(tmp_path / "mine")
    files = store.locate(str(folder), quiet)
    assert (files.folder, files.name, files.gguf) == (str(folder), "mine", "")
    assert files.sha256 == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert installed.verify(files) == []
    assert installed.models() == []
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    os.utime(weights, (1, 1))  # the clock of the file system may be too coarse to tell the two apart
    assert store.locate(str(folder), quiet).sha256 != files.sha256, "a remembered hash must not outlive the file"


@pytest.mark.parametrize("name", ["", "nonsense", "a/b/c", "missing.gguf", "dir/missing.gguf", "\0", "../x"])
def test_a_name_that_is_nothing_gets_the_ways(name: str) -> None:
    with pytest.raises(ModelError, match="there is no model") as caught:
        store.locate(name or "nothing", quiet)
    assert "--model DIR" in caught.value.hint


def test_what_has_to_be_read_through_once_is_said_once(tmp_path: Path) -> None:
    folder = str(tiny_gguf.write_folder(tmp_path / "m"))
    seen: list[Status] = []
    store.locate(folder, seen.append)
    assert [status.phase for status in seen] == ["loading"]
    assert "model.safetensors (0.0 GB)" in seen[0].message
    seen.clear()
    store.locate(folder, seen.append)
    assert not seen
