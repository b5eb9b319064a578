"""Model folders that must not be loaded: what can run code, what is broken, what would exhaust the machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llm_holes.engine.checkpoint import validate
from llm_holes.engine.errors import ModelError
from tests.support import tiny_gguf
from tests.support.clock import AtMost


def safetensors(header: bytes, length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header


HOSTILE: dict[str, tuple[str, bytes | None, str]] = {
    "other family": ("config.json", json.dumps(tiny_gguf.CONFIG | {"model_type": "gemma"}).encode(), "gemma"),
    "endless number": (
        "config.json",
        json.dumps(tiny_gguf.CONFIG).replace('"hidden_size": 64', '"hidden_size": 1e999').encode(),
        "config.json",
    ),
    "deep JSON": ("config.json", b"[" * 500_000, "config.json"),
    "no JSON": ("config.json", b"\xff\xfe", "config.json"),
    "large config": ("config.json", b" " * (2**20 + 1), "limit"),
    "no config": ("config.json", None, "config.json"),
    "no tokenizer": ("tokenizer.json", None, "tokenizer.json"),
    "large tokenizer": ("tokenizer.json", b" " * (32 * 2**20 + 1), "limit"),
    "large template": ("tokenizer_config.json", json.dumps({"chat_template": "x" * 70_000}).encode(), "template"),
    "large jinja file": ("chat_template.jinja", b"x" * 70_000, "limit"),
    "large older template": ("chat_template.json", json.dumps({"chat_template": "x" * 70_000}).encode(), "template"),
    "large named template": ("additional_chat_templates/tool_use.jinja", b"x" * 70_000, "limit"),
    "no weights": ("model.safetensors", None, "model.safetensors"),
    "cut weights": ("model.safetensors", b"\x01\x02", "header"),
    "large header": ("model.safetensors", safetensors(b"{}", 2**40), "limit"),
    "header past the end": ("model.safetensors", safetensors(b"{}", 1000), "header"),
    "header no JSON": ("model.safetensors", safetensors(b"PK\x03\x04"), "JSON"),
    "no tensors": ("model.safetensors", safetensors(b"{}"), "tensors"),
    "many tensors": (
        "model.safetensors",
        safetensors(json.dumps({str(i): {} for i in range(20_001)}).encode()),
        "limit",
    ),
    "tensor past the end": (
        "model.safetensors",
        safetensors(b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}'),
        "outside",
    ),
    "second file": ("extra.safetensors", safetensors(b"{}", 2**40), "limit"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_in_two_seconds(name: str, tmp_path: Path, at_most: AtMost) -> None:
    file, content, reason = HOSTILE[name]
    folder = tiny_gguf.write_folder(tmp_path / "m")
    (folder / file).unlink(missing_ok=True)
    if content is not None:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(content)
    with at_most(2), pytest.raises(ModelError, match=reason) as caught:
        validate.check(folder)
    assert caught.value.hint


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth"])
def test_a_folder_of_pickles_is_refused(suffix: str, tmp_path: Path) -> None:
    folder = tiny_gguf.write_folder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / f"pytorch_model{suffix}")
    with pytest.raises(ModelError, match="pickled"):
        validate.check(folder)


def test_shards_are_followed_but_only_inside_the_folder(tmp_path: Path) -> None:
    folder = tiny_gguf.write_folder(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    assert validate.check(folder).weights == (folder / "model-1.safetensors",)
    for name in ("../m/model-1.safetensors", "/etc/passwd", "model-2.safetensors", 7):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(ModelError):
            validate.check(folder)


def test_a_pipe_in_the_folder_does_not_hang(tmp_path: Path) -> None:
    folder = tiny_gguf.write_folder(tmp_path / "m")
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(ModelError, match="regular file"):
        validate.check(folder)
