"""What a Hugging Face model folder may hold, checked before anything in it is used. Torch-free."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import from_hugging_face
from llm_holes.engine.tokenizer.chat_template import MAX_TEMPLATE, default_template

HINT = "Use a folder with config.json, tokenizer.json and model.safetensors, or a GGUF file."
MAX_JSON = 2**20
MAX_TOKENIZER = 32 * 2**20
MAX_TOKENIZER_CONFIG = 4 * 2**20
MAX_TENSORS = 2_000
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}


class Checkpoint(NamedTuple):
    """The folder's weight files and the name of the type most of the weights have, such as BF16."""

    weights: tuple[Path, ...]
    dtype: str


def check(folder: Path) -> Checkpoint:
    """Look at every file that will be read. Raises ModelError for what is missing, hostile or can run code."""
    try:
        return _check(folder)
    except OSError as error:
        raise ModelError(f"cannot read {error.filename or folder}: {error.strerror}", HINT) from None


def _check(folder: Path) -> Checkpoint:
    weights = _weights(folder)
    config = _json(folder / "config.json", MAX_JSON)
    _refuse_code(folder / "config.json", config)
    try:
        from_hugging_face(config)
    except (LookupError, TypeError, ValueError, ArithmeticError, msgspec.MsgspecError) as error:
        raise ModelError(f"{folder / 'config.json'} lacks or garbles {error}", HINT) from None
    _size(folder / "tokenizer.json", MAX_TOKENIZER)
    tokenizer_config = folder / "tokenizer_config.json"
    if tokenizer_config.exists():
        value = _json(tokenizer_config, MAX_TOKENIZER_CONFIG)
        _refuse_code(tokenizer_config, value)
        if len(default_template(value.get("chat_template")).encode()) > MAX_TEMPLATE:
            raise ModelError(f"{tokenizer_config} has a chat template over {MAX_TEMPLATE:,} bytes", HINT)
    if (folder / "chat_template.jinja").exists():
        _size(folder / "chat_template.jinja", MAX_TEMPLATE)
    counts: dict[str, int] = {}
    for path in {*weights, *folder.glob("*.safetensors")}:
        for dtype, size in _tensors(path):
            counts[dtype] = counts.get(dtype, 0) + size
    return Checkpoint(weights, max(counts, key=lambda dtype: counts[dtype]))


def _weights(folder: Path) -> tuple[Path, ...]:
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if single.exists():
        return (single,)
    if index.exists():
        shards = _json(index, MAX_JSON).get("weight_map")
        names = sorted(set(shards.values())) if isinstance(shards, dict) and _all_names(shards.values()) else []
        if names:
            return tuple(folder / name for name in names)
        raise ModelError(f"{index} does not name safetensors files of its own folder", HINT)
    if any(path.suffix in PICKLES for path in folder.iterdir()):
        raise ModelError(f"{folder} has only pickled weights, which can run code when loaded", HINT)
    raise ModelError(f"{folder} has no model.safetensors", HINT)


def _all_names(values: Any) -> bool:
    return all(isinstance(v, str) and v == Path(v).name and v.endswith(".safetensors") for v in values)


def _size(path: Path, limit: int) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path} is not a regular file", HINT)
    if status.st_size > limit:
        raise ModelError(f"{path} has {status.st_size:,} bytes; the limit is {limit:,}", HINT)
    return status.st_size


def _json(path: Path, limit: int) -> dict[str, Any]:
    _size(path, limit)
    return _parse(path, path.read_bytes())


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is not valid JSON", HINT) from None
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a JSON object", HINT)
    return value


def _refuse_code(path: Path, value: Any) -> None:
    """Keys that make transformers fetch or run code, at any depth."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "auto_map" or key.startswith("_attn_implementation"):
                raise ModelError(f"{path} has {key!r}, which can run code that comes with the model", HINT)
            _refuse_code(path, item)
    elif isinstance(value, list):
        for item in value:
            _refuse_code(path, item)


def _tensors(path: Path) -> list[tuple[str, int]]:
    """(type, bytes) of each tensor in a safetensors header, whose offsets lie in the file."""
    size = _size(path, 2**63)
    with path.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        if length > MAX_JSON or 8 + length > size:
            raise ModelError(f"{path} announces a header of {length:,} bytes; the limit is {MAX_JSON:,}", HINT)
        header = _parse(path, handle.read(length))
    header.pop("__metadata__", None)
    if not 0 < len(header) <= MAX_TENSORS:
        raise ModelError(f"{path} has {len(header):,} tensors; the limit is {MAX_TENSORS:,}", HINT)
    found: list[tuple[str, int]] = []
    for name, entry in header.items():
        match entry:
            case {"dtype": str(dtype), "data_offsets": [int(start), int(end)]} if (
                0 <= start <= end <= size - 8 - length
            ):
                found.append((dtype, end - start))
            case _:
                raise ModelError(f"{path} is damaged: the tensor {name!r} lies outside the file", HINT)
    return found
