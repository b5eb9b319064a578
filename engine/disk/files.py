"""The files of a model's folder, looked at before they are read: regular ones that lie in the folder or in the Hugging
Face cache, weights wherever a link says, of a bounded size, and there as a whole. Torch-free."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from llm_holes.engine.disk import hub_cache
from llm_holes.engine.disk.lfs import refuse_pointer
from llm_holes.engine.errors import ModelError

HINT = "Use a folder with config.json, tokenizer.json and model.safetensors, or a GGUF file."
WEIGHTS = ".safetensors"
TEMPLATES = "additional_chat_templates"
MAX_TEMPLATE = 64 * 2**10
MAX_BYTES = {
    "config.json": 2**20,
    "generation_config.json": 2**20,
    "tokenizer.json": 32 * 2**20,
    "tokenizer_config.json": 4 * 2**20,
    "special_tokens_map.json": 2**20,
    "added_tokens.json": 4 * 2**20,
    "chat_template.jinja": MAX_TEMPLATE,
    "chat_template.json": 2**20,
    "model.safetensors.index.json": hub_cache.MAX_INDEX,
    "adapter_config.json": 2**20,
}
"""All that is read as a whole, besides the templates in TEMPLATES. Weights have no limit here: only what their headers
tell is believed."""


def check(path: Path) -> int:
    """The file's size in bytes. Raises ModelError for one that must not be read, OSError for one that cannot be."""
    with opened(path) as handle:
        return os.fstat(handle.fileno()).st_size


def read(path: Path) -> bytes:
    """The whole file. Raises ModelError, OSError."""
    with opened(path) as handle:
        # one that grows meanwhile is cut, and then says so by what it lacks
        return handle.read(_limit(path))


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in the file. Raises ModelError, OSError."""
    return parse(path, read(path))


def parse(path: Path, text: bytes) -> dict[str, Any]:
    """The JSON object that `text` is, which comes from the file. Raises ModelError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is not valid JSON", HINT) from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a JSON object", HINT)
    return value


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, open to be read. Raises ModelError, OSError."""
    if path.suffix != WEIGHTS:  # often kept on another disk; of no other file anything is read as such
        refuse_stray(path)
    # a pipe would otherwise be waited for
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path} is not a regular file", HINT)
        if status.st_size > _limit(path):
            raise ModelError(f"{path} has {status.st_size:,} bytes; the limit is {_limit(path):,}", HINT)
        refuse_pointer(path)
        with os.fdopen(descriptor, "rb", closefd=False) as handle:
            yield handle
    finally:
        os.close(descriptor)


def refuse_stray(path: Path) -> None:
    """Raises ModelError if the path leads out of its folder by links."""
    folder = path.parent.parent if path.parent.name == TEMPLATES else path.parent
    real, home = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    # a snapshot links to the blobs beside it, wherever the cache is
    homes = [home, home.parent.parent if home.parent.name == "snapshots" else home, hub_cache.cache().resolve()]
    if not any(real.is_relative_to(place) for place in homes):
        raise ModelError(
            f"{path} is a link to {real}, outside the model's folder", "Put the file itself into the folder."
        )


def refuse_holes(path: Path) -> None:
    """Raises ModelError if less than half of the file is on the disk: it was copied or downloaded in part, or made to
    look large. Reads nothing."""
    with path.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        try:
            there = _on_disk(handle.fileno(), size // 2)
        except OSError:  # the file system does not tell
            return
    if 2 * there < size:
        raise ModelError(
            f"{path} has {size:,} bytes, of which {there:,} are on the disk: the rest is a hole",
            "It was copied or downloaded in part: fetch it again.",
        )


def _on_disk(descriptor: int, enough: int) -> int:
    """Bytes of the file that take room on the disk, counted until they are enough."""
    there = end = 0
    while there <= enough:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no more data
                break
            raise
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        there += end - start
    return there


def _limit(path: Path) -> int:
    return MAX_TEMPLATE if path.parent.name == TEMPLATES else MAX_BYTES.get(path.name, 2**63)
