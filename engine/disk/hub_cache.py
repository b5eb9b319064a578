"""Models that other programs have fetched: the Hugging Face cache, looked into without a network. Torch-free.

Layout: `models--org--name/refs/<revision>` holds the name of a folder in `models--org--name/snapshots/`
(huggingface_hub, "Understand caching").
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

REVISION = "main"
MAX_INDEX = 4 * 2**20
NAME = re.compile(r"([A-Za-z0-9][\w.-]{0,95}(?:/[\w.-]{1,96})?)(?:@(\w[\w./-]{0,99}))?")
"""A model, and its revision."""
HASH = re.compile(r"[0-9a-f]{7,40}")


def cache() -> Path:
    """Where the Hugging Face libraries keep what they fetch, by the same variables."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if path := os.environ.get(variable):
            return _expanded(path)
    if path := os.environ.get("HF_HOME"):
        return _expanded(path) / "hub"
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def find(name: str, revision: str = "") -> Path | None:
    """The snapshot of the model `org/name` that is complete: of the revision (a branch, a tag, or the beginning of a
    commit's hash), else the one of its main revision, else the newest."""
    return snapshot(_folder(name), revision)


def find_tokenizer(name: str, revision: str = "") -> Path | None:
    """The snapshot of the model `org/name` that has its tokenizer, whatever else is there; which one, as in `find`."""
    return snapshot(_folder(name), revision, holds_tokenizer)


def snapshot(folder: Path, revision: str = "", is_whole: Callable[[Path], bool] | None = None) -> Path | None:
    """The complete snapshot in a model's folder of the cache, or None if there is none, or it is no such folder.
    `is_whole` says which is one; without it, one that holds a model."""
    wanted = _reference(folder / "refs" / (revision or REVISION))
    found = [path for path in _snapshots(folder) if (is_whole or holds_model)(path)]
    if revision:
        begins = revision if HASH.fullmatch(revision) else wanted
        found = [path for path in found if path.name == wanted or (begins and path.name.startswith(begins))]
    return max(found, key=lambda path: (path.name == wanted, path.stat().st_mtime), default=None)


def models() -> list[tuple[str, Path]]:
    """What the cache has: the names of its models, each with its best snapshot, complete or not."""
    found: list[tuple[str, Path]] = []
    for folder in sorted(cache().glob("models--*")):
        every = _snapshots(folder)
        if best := snapshot(folder) or max(every, key=lambda path: path.stat().st_mtime, default=None):
            found.append((folder.name.removeprefix("models--").replace("--", "/", 1), best))
    return found


def source(name: str, snapshot: Path) -> str:
    return f"{name} from the Hugging Face cache, revision {snapshot.name:.12}"


def _folder(name: str) -> Path:
    return cache() / f"models--{name.replace('/', '--')}"


def _snapshots(folder: Path) -> list[Path]:
    try:
        return [path for path in (folder / "snapshots").iterdir() if path.is_dir()]
    except OSError:
        return []


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(path)).expanduser().absolute()


def _reference(path: Path) -> str:
    try:
        return _beginning(path, 100).decode().strip()
    except (OSError, ValueError):
        return ""


def _beginning(path: Path, length: int) -> bytes:
    """The first bytes of a file, none of what is no regular one. Raises OSError."""
    if not path.is_file():
        return b""
    with path.open("rb") as handle:
        return handle.read(length)


def holds_model(path: Path) -> bool:
    """Whether a model is there, an adapter, or a GGUF file; a program that asked for the tokenizer only leaves that."""
    return complete(path) or is_adapter(path) or any(path.glob("*.gguf"))


def holds_tokenizer(path: Path) -> bool:
    return (path / "tokenizer.json").is_file()


def is_adapter(path: Path) -> bool:
    """Whether it is one that changes a base model, and no model of its own."""
    found = [(path / f"{name}.safetensors").is_file() for name in ("adapter_model", "model")]
    return found == [True, False] and (path / "adapter_config.json").is_file()


def complete(path: Path) -> bool:
    """Whether a whole model is there."""
    index = path / "model.safetensors.index.json"
    if not all((path / name).is_file() for name in ("config.json", "tokenizer.json")):
        return False
    if (path / "model.safetensors").is_file():
        return True
    try:
        names = set(json.loads(_beginning(index, MAX_INDEX))["weight_map"].values())
        return bool(names) and all((path / name).is_file() for name in names)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
