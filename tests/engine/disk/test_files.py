"""The files of a model are regular ones of its own, of a bounded size, and there as a whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llm_holes.engine.checkpoint import room, store
from llm_holes.engine.disk import files
from llm_holes.engine.errors import ModelError
from llm_holes.engine.tokenizer.tokenizer import Tokenizer
from tests.support import tiny_gguf

READ = (*files.MAX_BYTES, "model.safetensors", "extra.safetensors", "additional_chat_templates/tool_use.jinja")
UNREAD = ("model.safetensors.index.json", "adapter_config.json")
"""Where there is one file of weights, and no adapter's."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_gguf.write_folder(tmp_path / "m")


def load(folder: Path) -> Tokenizer:
    """What the engine does with the files, besides computing."""
    return Tokenizer.load(store.locate(str(folder), lambda status: None).folder)


def place(folder: Path, name: str) -> Path:
    """Where the file is to be, free of what is there."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    return path


def pipe(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    path.mkdir()


def outside(path: Path) -> None:
    out = path.parents[1 if path.parent.name != files.TEMPLATES else 2] / "outside"
    out.write_text("{}")
    path.symlink_to(out)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 10**12)


@pytest.mark.parametrize("kind", [pipe, zeros, directory, outside, sparse])
@pytest.mark.parametrize("name", [name for name in READ if name not in UNREAD])
def test_a_file_that_is_none_of_the_models_own_is_refused_by_name(name: str, kind: object, folder: Path) -> None:
    assert callable(kind)
    kind(place(folder, name))
    with pytest.raises(ModelError, match=Path(name).name) as caught:
        load(folder)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_link_to_itself_is_refused(name: str, folder: Path) -> None:
    loop(place(folder, name))
    with pytest.raises(ModelError, match=name):
        load(folder)


@pytest.mark.parametrize("kind", [pipe, zeros, directory, sparse])
def test_an_index_that_is_none_is_refused(kind: object, folder: Path) -> None:
    assert callable(kind)
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    kind(place(folder, "model.safetensors.index.json"))
    with pytest.raises(ModelError, match=r"index\.json"):
        load(folder)


def test_links_inside_the_folder_and_into_the_hub_cache_are_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "config.json").rename(folder / "other.json")
    (folder / "config.json").symlink_to("other.json")
    (tmp_path / "hub").mkdir()
    (folder / "tokenizer.json").rename(tmp_path / "hub" / "blob")
    (folder / "tokenizer.json").symlink_to(tmp_path / "hub" / "blob")
    (tmp_path / "named").symlink_to(folder)
    assert load(tmp_path / "named").encode("hello")


def test_a_snapshot_links_to_the_blobs_beside_it_wherever_it_is(folder: Path, tmp_path: Path) -> None:
    cached = tmp_path / "elsewhere" / "models--a--b"
    snapshot = cached / "snapshots" / "0123"
    (cached / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        path.rename(cached / "blobs" / path.name)
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    assert load(snapshot).encode("hello")
    (cached / "blobs" / "config.json").rename(tmp_path / "config.json")
    (cached / "blobs" / "config.json").symlink_to(tmp_path / "config.json")
    with pytest.raises(ModelError, match="outside"):
        load(snapshot)


def test_weights_may_be_a_link_to_where_they_are_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").rename(tmp_path / "kept.safetensors")
    (folder / "model.safetensors").symlink_to(tmp_path / "kept.safetensors")
    assert load(folder).encode("hello")


def announce(folder: Path, rows: int) -> None:
    """Weights whose tables have so many rows, all of them a hole."""
    shapes = {name: list(value.shape) for name, value in tiny_gguf.weights("llama").items()}
    shapes |= {name: [rows, tiny_gguf.WIDTH] for name in ("model.embed_tokens.weight", "lm_head.weight")}
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(folder / "model.safetensors", 8 + len(text) + at)
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": rows}))


def test_weights_that_are_a_hole_are_not_read(folder: Path) -> None:
    announce(folder, 16_000_000)
    with pytest.raises(ModelError, match="on the disk"):
        load(folder)


def test_a_file_with_some_holes_is_whole(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "some"
    path.write_bytes(b"x" * 10**6)
    with path.open("r+b") as out:
        out.seek(2**21 - 1)
        out.write(b"x")
        os.fsync(out.fileno())
    with pytest.raises(ModelError, match="hole"):
        files.refuse_holes(path)
    with path.open("r+b") as out:
        out.write(b"x" * (3 * 2**19))
        os.fsync(out.fileno())
    files.refuse_holes(path)


def test_weights_after_the_last_tensor_or_between_two_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data + b"\0")
    with pytest.raises(ModelError, match="after its last tensor"):
        load(folder)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    del header["lm_head.weight"]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(ModelError, match="one after another"):
        load(folder)


@pytest.mark.parametrize("kind", ["folder", "gguf"])
def test_a_model_larger_than_the_memory_is_refused_before_it_is_read(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_gguf.write_gguf(tmp_path / "m.gguf")
    monkeypatch.setattr(room, "memory", lambda: 100_000)
    monkeypatch.setattr(store, "weights_hash", None)
    with pytest.raises(ModelError, match=r"0\.0 GB of memory"):
        load(folder if kind == "folder" else tmp_path / "m.gguf")


@pytest.mark.parametrize("size", [40 * 10**9, 10**12])
def test_a_gguf_file_that_is_a_hole_is_not_read(size: int, tmp_path: Path, cache: Path) -> None:
    tiny_gguf.write_gguf(tmp_path / "m.gguf")
    os.truncate(tmp_path / "m.gguf", size)
    with pytest.raises(ModelError, match="on the disk"):
        load(tmp_path / "m.gguf")
    assert not any(cache.glob("m-*"))


def test_a_gguf_file_may_be_a_link_where_it_is_named_and_not_where_it_is_found(tmp_path: Path) -> None:
    tiny_gguf.write_gguf(tmp_path / "m.gguf")
    (tmp_path / "folder").mkdir()
    link = tmp_path / "folder" / "link.gguf"
    link.symlink_to(tmp_path / "m.gguf")
    assert load(link).encode("hello")
    with pytest.raises(ModelError, match="outside"):
        load(tmp_path / "folder")
