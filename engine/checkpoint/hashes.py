"""SHA-256 of files, remembered by path, size and time: a learner's own large model is hashed once. Torch-free."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

Memory = dict[str, tuple[int, int, str]]
MAX_MEMORY = 2**20


def file_hash(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_or_empty(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError:
        return ""


def weights_hash(paths: Sequence[Path], inspect: Callable[[Path], None], remember: Path | None = None) -> str:
    """The file's sha256, or for several files that of the list of theirs as `sha256sum` prints it.

    `remember` is a file that keeps what was hashed before; where it cannot be written nothing is remembered. Each file
    that it does not know is given to `inspect` first, which raises ModelError for one that must not be used.
    """
    memory = _read(remember) if remember else {}
    before = dict(memory)
    hashes = [_remembered(path, memory, inspect) for path in paths]
    if remember and memory != before:
        _write(remember, memory)
    if len(paths) == 1:
        return hashes[0]
    listing = "".join(f"{digest}  {path.name}\n" for digest, path in zip(hashes, paths, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()


def _remembered(path: Path, memory: Memory, inspect: Callable[[Path], None]) -> str:
    status = path.stat()
    key = str(path.resolve())
    size, time, digest = memory.get(key, (0, 0, ""))
    if (size, time) != (status.st_size, status.st_mtime_ns):
        inspect(path)
        digest = file_hash(path)
        memory[key] = (status.st_size, status.st_mtime_ns, digest)
    return digest


def _read(path: Path) -> Memory:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory) if path.stat().st_size < MAX_MEMORY else {}
    except (OSError, msgspec.MsgspecError):
        return {}


def _write(path: Path, memory: Memory) -> None:
    work = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work.write_bytes(msgspec.json.encode(memory))
        work.replace(path)
        for left in path.parent.glob(f".{path.name}-*"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
    except OSError:
        work.unlink(missing_ok=True)
