"""Models that other programs have fetched: the Hugging Face cache, looked into without a network. Torch-free.

Layout: `models--org--name/refs/<revision>` holds the name of a folder in `models--org--name/snapshots/`
(huggingface_hub, "Understand caching").
"""

from __future__ import annotations

import json
import os
from pathlib import Path

REVISION = "main"


def cache() -> Path:
    """Where the Hugging Face libraries keep what they fetch, by the same variables."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if path := os.environ.get(variable):
            return _expanded(path)
    if path := os.environ.get("HF_HOME"):
        return _expanded(path) / "hub"
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def find(name: str) -> Path | None:
    """The snapshot of the model `org/name` that is complete: the one of its main revision, else the newest."""
    return snapshot(cache() / f"models--{name.replace('/', '--')}")


def snapshot(folder: Path) -> Path | None:
    """The complete snapshot in a model's folder of the cache, or None if there is none, or it is no such folder."""
    try:
        found = [path for path in (folder / "snapshots").iterdir() if _complete(path)]
    except OSError:
        return None
    main = _reference(folder / "refs" / REVISION)
    return max(found, key=lambda path: (path.name == main, path.stat().st_mtime), default=None)


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(path)).expanduser().absolute()


def _reference(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as handle:
            return handle.read(100).strip()
    except (OSError, ValueError):
        return ""


def _complete(path: Path) -> bool:
    """Whether what a model needs is there; a program that asked for the tokenizer only leaves only that."""
    index = path / "model.safetensors.index.json"
    if not all((path / name).is_file() for name in ("config.json", "tokenizer.json")):
        return False
    if (path / "model.safetensors").is_file():
        return True
    try:
        names = set(json.loads(index.read_bytes())["weight_map"].values())
        return bool(names) and all((path / name).is_file() for name in names)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
