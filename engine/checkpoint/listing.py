"""The models on this machine: those of our own cache and those that the Hugging Face cache has. Torch-free."""

from __future__ import annotations

from pathlib import Path

import msgspec

from llm_holes.engine.checkpoint import adapter, convert, gguf, installed, merged, store, validate
from llm_holes.engine.disk import hub_cache
from llm_holes.engine.errors import ModelError


class Listed(msgspec.Struct, frozen=True):
    """`name` is what `--model` takes; `problem` says why the model would not run, and is empty if it would, as far as
    the headers of its files tell."""

    name: str
    folder: str
    bytes: int
    source: str
    problem: str = ""


def models() -> list[Listed]:
    own = [Listed(model.name, model.folder, model.bytes, model.source) for model in installed.models()]
    return own + [_of_hub(name, folder) for name, folder in hub_cache.models()]


def _of_hub(name: str, folder: Path) -> Listed:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    source = f"the Hugging Face cache, revision {folder.name:.12}"
    try:
        _check(folder)
    except ModelError as error:
        return Listed(name, str(folder), size, source, f"{error}. {error.hint}")
    return Listed(name, str(folder), size, source)


def _check(folder: Path) -> None:
    """Raises ModelError if the model would be refused, without reading its weights."""
    if hub_cache.is_adapter(folder):
        base, *_ = merged.base_of(folder, adapter.base_name(folder))
        validate.check(base)
    elif file := store.only_gguf(folder):
        convert.check(gguf.read(file))
    else:
        validate.check(folder)
