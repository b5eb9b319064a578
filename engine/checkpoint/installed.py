"""The models in the cache: one folder for each, with a `manifest.json`, written last. Torch-free.

A folder gets its name only when it is complete; what is damaged or old is set aside and made anew.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from llm_holes.engine.checkpoint.hashes import file_hash, hash_or_empty
from llm_holes.engine.errors import ModelError
from llm_holes.engine.ipc.messages import Status

Report = Callable[[Status], None]
Fetch = Callable[[Path, Path], "ModelFiles"]

DEFAULT = "SmolLM2-135M-Instruct"
DEFAULT_KEY = "SmolLM2-135M-Instruct-Q4_1"
DEFAULT_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
DEFAULT_BYTES = 750_000_000
NEEDED = f"The default model needs {DEFAULT_BYTES / 1e9:.2f} GB. "
MANIFEST = "manifest.json"
VERSION = 1
CONVERTER = 3
"""Raised when a GGUF file is converted otherwise than before: what an older llm-holes converted is made anew."""


class ModelFiles(msgspec.Struct, frozen=True):
    """A model on disk. `folder` has config.json, tokenizer.json and safetensors; `sha256` is that of the weights as
    obtained (of the GGUF where there is one, whose path is `gguf`)."""

    name: str
    folder: str
    sha256: str
    source: str
    weight_format: str
    gguf: str = ""


class Cached(msgspec.Struct, frozen=True):
    """One model of the cache, for a list."""

    name: str
    folder: str
    bytes: int
    source: str


class Record(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """`model` has paths relative to the folder, so that a cache can be moved; `converter` is the CONVERTER it was made
    by."""

    version: int
    model: ModelFiles
    files: dict[str, Record]
    converter: int = 0


def root() -> Path:
    """The cache: LLM_HOLES_CACHE, or `models` in the user's cache directory."""
    if path := os.environ.get("LLM_HOLES_CACHE"):
        return Path(path).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("llm-holes") / "models"


def models() -> list[Cached]:
    """The complete models of the cache."""
    found = [(folder, find(folder)[0]) for folder in folders()]
    return [
        Cached(files.name, files.folder, sum(record.bytes for record in _manifest(folder).files.values()), files.source)
        for folder, files in found
        if files
    ]


def named(name: str) -> ModelFiles | None:
    """The model of the cache that has this name, be it one on the hub: `org/name`."""
    for folder in folders():
        hub = DEFAULT_HUB if folder.name == DEFAULT_KEY else folder.name.replace("--", "/", 1)
        files, _ = find(folder)
        if files and name in (files.name, hub):
            return files
    return None


def verify(files: ModelFiles) -> list[str]:
    """Hash every file the manifest names: the names of those that are missing or changed. Reads all of them."""
    folder = Path(files.folder)
    if not (folder / MANIFEST).exists():
        return []
    try:
        records = _manifest(folder).files
    except (OSError, msgspec.MsgspecError):
        return [MANIFEST]
    return [name for name, record in records.items() if hash_or_empty(folder / name) != record.sha256]


def folders() -> list[Path]:
    try:
        return sorted(p for p in root().iterdir() if not p.name.startswith(".") and (p / MANIFEST).is_file())
    except OSError:
        return []


def _manifest(folder: Path) -> Manifest:
    return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)


def find(folder: Path) -> tuple[ModelFiles | None, str]:
    """The model in a cache folder, or None and what is wrong with it (nothing if there is no folder)."""
    if not folder.exists():
        return None, ""
    try:
        manifest = _manifest(folder)
        for name, record in manifest.files.items():
            if (folder / name).stat().st_size != record.bytes:
                return None, f"{name} has the wrong size"
    except OSError as error:
        return None, f"{Path(error.filename or folder).name}: {error.strerror}"
    except msgspec.MsgspecError as error:
        return None, f"{MANIFEST}: {error}"
    if manifest.version != VERSION or (manifest.model.gguf and manifest.converter != CONVERTER):
        return None, "it was made by another version of llm-holes"
    # a learner's own GGUF stays where it was, or is gone by now
    gguf = folder / manifest.model.gguf
    files = msgspec.structs.replace(manifest.model, folder=str(folder), gguf=str(gguf) if gguf.is_file() else "")
    return files, ""


def found_or_fetched(key: str, fetch: Fetch, report: Report) -> ModelFiles:
    folder = root() / key
    files, _ = find(folder)
    if files:
        return files
    with _disk_errors(folder.parent), _lock(folder.parent, report):
        files, damage = find(folder)
        if files:
            return files
        for rest in folder.parent.glob(".tmp-*"):
            shutil.rmtree(rest, ignore_errors=True)
        aside = folder.parent / f".damaged-{key}"
        if damage:
            report(Status("downloading", f"{folder.name} in the cache is damaged or old ({damage}); making it anew"))
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
        _install(folder, aside, fetch)
        shutil.rmtree(aside, ignore_errors=True)
    files, damage = find(folder)
    if not files:
        raise ModelError(f"{folder} cannot be used: {damage}", "Delete it and start again.")
    return files


def _install(folder: Path, aside: Path, fetch: Fetch) -> None:
    """Fetch into a temporary folder, which becomes `folder` when it is complete and nothing otherwise."""
    work = folder.parent / f".tmp-{folder.name}-{os.getpid()}"
    work.mkdir()
    try:
        model = fetch(work, aside)
        files = {path.name: Record(path.stat().st_size, file_hash(path)) for path in sorted(work.iterdir())}
        with (work / MANIFEST).open("wb") as out:
            out.write(msgspec.json.format(msgspec.json.encode(Manifest(VERSION, model, files, CONVERTER))))
            os.fsync(out.fileno())
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def mark(paths: Sequence[Path]) -> str:
    """Twelve digits that change with any of the files."""
    lines = (f"{path.resolve()}\n{path.stat().st_size}\n{path.stat().st_mtime_ns}" for path in paths)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def weight_format(dtype: str) -> str:
    return f"{dtype} file, fp32 in memory"


@contextmanager
def _lock(folder: Path, report: Report) -> Iterator[None]:
    """One process fetches at a time; the others wait and say so. The lock ends with the process that holds it."""
    from filelock import FileLock, Timeout

    from llm_holes.engine.checkpoint.download import bytes_below

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            done = sum(bytes_below(work) for work in folder.glob(".tmp-*"))
            report(Status("downloading", "another llm-holes is fetching a model; waiting for it", done))
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "Make room or set LLM_HOLES_CACHE to a folder you can write to on another disk."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"the disk of {folder} is too full for the model", NEEDED + hint) from None
        raise ModelError(f"cannot write the model to {folder}: {error.strerror or error}", hint) from None
