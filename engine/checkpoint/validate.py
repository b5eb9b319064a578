"""What a Hugging Face model folder may hold, checked before anything in it is used. Torch-free."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from llm_holes.engine.checkpoint.finite import refuse_special
from llm_holes.engine.checkpoint.layouts import Layout, layout
from llm_holes.engine.checkpoint.room import refuse_hopeless
from llm_holes.engine.checkpoint.tensors import Stored, used
from llm_holes.engine.disk import files
from llm_holes.engine.disk.files import HINT, MAX_TEMPLATE
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import checked
from llm_holes.engine.model.quantized_formats import Block, fp8_block, refused
from llm_holes.engine.tokenizer.chat_template import OLDER_FILE, named_templates, size, template_files

READ_LATER = ("generation_config.json", "special_tokens_map.json", "added_tokens.json")
MAX_HEADER = 4 * 2**20
MAX_TENSORS = 20_000
"""Of a mixture each expert has three in each layer: Qwen3-30B-A3B has 18,867, in one file where it was converted."""
OTHER_TOKENIZERS = ("tokenizer.model", "spiece.model", "tekken.json", "vocab.json", "vocab.txt")
PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}


class Checkpoint(NamedTuple):
    """The folder's weight files, the name of the type most of the weights have, such as BF16, and where each tensor
    that the decoder reads is. `block` is the rows and columns that share a scale, in an FP8 checkpoint."""

    weights: tuple[Path, ...]
    dtype: str
    tensors: dict[str, Stored]
    block: Block | None

    def refuse_special(self, path: Path) -> None:
        """Raises ModelError if the weights in the file hold NaN or infinity. Reads all of them."""
        refuse_special(path, (tensor for tensor in self.tensors.values() if tensor.path == path))


def check(folder: Path) -> Checkpoint:
    """Look at every file that will be read. Raises ModelError for what is missing, hostile or not understood; nothing
    that a folder may name as code to run (`auto_map`) is ever looked at."""
    try:
        return _check(folder)
    except OSError as error:
        raise ModelError(f"cannot read {error.filename or folder}: {error.strerror}", HINT) from None


def _check(folder: Path) -> Checkpoint:
    weights = _weights(folder)
    config = files.read_json(folder / "config.json")
    shape = checked(config, folder / "config.json")
    _refuse_other_tokenizers(folder)
    files.check(folder / "tokenizer.json")
    for name in ("tokenizer_config.json", OLDER_FILE):
        if (folder / name).exists():
            _check_templates(folder / name, files.read_json(folder / name))
    for path in (*template_files(folder).values(), *(folder / name for name in READ_LATER)):
        if path.exists():
            files.check(path)
    found: dict[str, Stored] = {}
    for path in weights:
        tensors = read_tensors(path)
        if twice := found.keys() & tensors.keys():
            raise ModelError(f"the tensor {min(twice)!r} is in {found[min(twice)].path.name} and {path.name}", HINT)
        found |= tensors
    for path in {*folder.glob("*.safetensors")} - {*weights}:
        read_tensors(path)
    block = fp8_block(config)
    if block and layout(shape) != Layout():
        raise refused(f"FP8 in the layout of {shape.family}")
    kept = used(shape, found, block)
    refuse_hopeless(sum(math.prod(tensor.shape) for tensor in kept.values()))
    counts: dict[str, int] = {}
    for tensor in kept.values():
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.bytes
    return Checkpoint(weights, max(counts, key=lambda dtype: counts[dtype]), kept, block)


def _refuse_other_tokenizers(folder: Path) -> None:
    """Raises ModelError for a folder whose tokenizer is in another format, or which has none."""
    if (folder / "tokenizer.json").exists() or (folder / "tokenizer.json").is_symlink():
        return
    others = [name for name in OTHER_TOKENIZERS if (folder / name).exists()]
    raise ModelError(
        f"{folder} has no tokenizer.json" + (f", only {others[0]}, which llm-holes does not read" if others else ""),
        "Make one with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)."
        if others
        else "Copy the tokenizer's files from the model it was made of into the folder.",
    )


def _check_templates(path: Path, value: dict[str, Any]) -> None:
    if any(size(text) > MAX_TEMPLATE for text in named_templates(value.get("chat_template")).values()):
        raise ModelError(f"{path} has a chat template over {MAX_TEMPLATE:,} bytes", HINT)


def _weights(folder: Path) -> tuple[Path, ...]:
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if single.exists() or single.is_symlink():
        return (single,)
    if index.exists():
        shards = files.read_json(index).get("weight_map")
        names = sorted(set(shards.values())) if isinstance(shards, dict) and _all_names(shards.values()) else []
        if missing := [name for name in names if not (folder / name).exists()]:
            raise ModelError(
                f"{folder} lacks {missing[0]}, one of {len(names)} files that its index names",
                "The folder was copied or downloaded in part: add the missing file.",
            )
        if names:
            return tuple(folder / name for name in names)
        raise ModelError(f"{index} does not name safetensors files of its own folder", HINT)
    names = sorted(path.name for path in folder.iterdir())
    if any(Path(name).suffix in PICKLES for name in names):
        raise ModelError(f"{folder} has only pickled weights, which can run code when loaded", HINT)
    if ggufs := [name for name in names if name.endswith(".gguf")]:
        raise ModelError(f"{folder} has {ggufs[0]}, but no model.safetensors", f"Give the file: {folder / ggufs[0]}.")
    if any(name.startswith("consolidated") for name in names):
        raise ModelError(
            f"{folder} is in the layout of Mistral's own programs (consolidated.safetensors, params.json)", HINT
        )
    if others := [name for name in names if name.endswith(".safetensors")]:
        raise ModelError(
            f"{folder} has {others[0]}, but neither model.safetensors nor model.safetensors.index.json",
            "If that file is the whole model, name it model.safetensors; of several parts the index is missing.",
        )
    inside = sorted(path.parent for path in folder.glob("*/config.json"))
    raise ModelError(f"{folder} has no model.safetensors", f"Give one of its folders: {inside[0]}." if inside else HINT)


def _all_names(values: Any) -> bool:
    return all(isinstance(v, str) and v == Path(v).name and v.endswith(".safetensors") for v in values)


def read_tensors(path: Path) -> dict[str, Stored]:
    """What a safetensors header names: tensors that fill the rest of the file. Raises ModelError, OSError."""
    with files.opened(path) as handle:
        size = os.fstat(handle.fileno()).st_size
        first = handle.read(8)
        length = int.from_bytes(first, "little")
        if not size or first.lstrip().startswith(b"<"):
            what = "a web page" if size else "empty"
            raise ModelError(
                f"{path} is {what}, not a file of weights",
                "Download the file itself; a hub may want you to log in first.",
            )
        if length > MAX_HEADER or 8 + length > size:
            raise ModelError(f"{path} announces a header of {length:,} bytes; the limit is {MAX_HEADER:,}", HINT)
        header = files.parse(path, handle.read(length))
    header.pop("__metadata__", None)
    if not 0 < len(header) <= MAX_TENSORS:
        raise ModelError(f"{path} has {len(header):,} tensors; the limit is {MAX_TENSORS:,}", HINT)
    found: dict[str, Stored] = {}
    for name, entry in header.items():
        match entry:
            case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(start), int(end)]} if (
                0 <= start <= end <= size - 8 - length and all(type(n) is int and n >= 0 for n in shape)
            ):
                found[name] = Stored(path, name, dtype, tuple(shape), 8 + length + start, end - start)
            case _:
                raise ModelError(f"{path} is damaged: the tensor {name!r} lies outside the file", HINT)
    _refuse_gaps(path, found, 8 + length, size)
    files.refuse_holes(path)
    return found


def _refuse_gaps(path: Path, tensors: dict[str, Stored], start: int, end: int) -> None:
    """Raises ModelError unless the tensors lie one after another from `start` to `end`."""
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.start, tensor.bytes)):
        if tensor.start != start:
            raise ModelError(f"{path} is damaged: its tensors do not lie one after another at {tensor.name!r}", HINT)
        start += tensor.bytes
    if start != end:
        raise ModelError(f"{path} is damaged: it has {end - start:,} bytes after its last tensor", HINT)
