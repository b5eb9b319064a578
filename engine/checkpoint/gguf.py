"""GGUF files: a bounded reader for their header, and their tensors as fp32 or as raw Q4_1 blocks. Torch-free.

The file may come from anywhere, so every count, length and offset is checked against a limit and against the file's
size before anything is allocated. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import functools
import math
import mmap
import re
import stat
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from llm_holes.engine.disk.files import refuse_holes, refuse_stray
from llm_holes.engine.disk.lfs import refuse_pointer
from llm_holes.engine.errors import ModelError

HINT = "Use another GGUF file, or fetch this one again."
CONVERT = "Convert the model anew with llama.cpp's convert_hf_to_gguf.py, or use its Hugging Face folder."
OLDER = (b"lmgg", b"fmgg", b"tjgg", b"algg")
MAX_TENSORS = 2_000
MAX_KEYS = 2_000
MAX_NAME = 256
MAX_STRING = 2**20
MAX_ELEMENTS = 2**21
MAX_HEADER = 64 * 2**20
MAX_DIMENSION = 2**31
MAX_DIMENSIONS = 4
MAX_PARTS = 1_000
PART = re.compile(r"(.+)-\d{5}-of-(\d{5})\.gguf")

STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
Q4_1 = 3
Q4_1_BLOCK = np.dtype([("d", "<f2"), ("m", "<f2"), ("codes", "u1", 16)])


class Tensor(NamedTuple):
    """`shape` is [rows, columns] or [columns], as numpy counts; `offset` is from its file's start, in bytes, and
    `part` the place of that file among those that a model is split into."""

    shape: tuple[int, ...]
    type: int
    offset: int
    bytes: int
    part: int = 0


class File(NamedTuple):
    """`parts` are the files that hold the tensors, more than one if the model is split; `path` is the first."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]
    parts: tuple[Path, ...]


def read(path: Path) -> File:
    """What the header of a GGUF file says, or the headers of all files that the model is split into.

    Raises ModelError if one of them is missing, damaged, hostile or of an unknown version.
    """
    given = _read(path)
    count = given.metadata.get("split.count", 1)
    if not isinstance(count, int) or count <= 1:
        return given
    paths = parts(path)
    if len(paths) != count or (missing := [part.name for part in paths if not part.is_file()]):
        lacking = missing[0] if len(paths) == count else "the others"
        raise ModelError(
            f"{path.name} is one of {count} parts of a split GGUF file, and {lacking} cannot be found beside it",
            "Put all parts into one folder, under the names that llama-gguf-split gave them.",
        )
    for other in {*paths} - {path}:  # which may be wherever the learner says
        refuse_stray(other)
    files = [_read(part) for part in paths]
    tensors: dict[str, Tensor] = {}
    for part, file in enumerate(files):
        if file.metadata.get("split.count") != count or tensors.keys() & file.tensors.keys():
            raise ModelError(
                f"{file.path.name} is no part of the same model as {path.name}", "Put the parts of one model there."
            )
        tensors |= {name: tensor._replace(part=part) for name, tensor in file.tensors.items()}
    if len(tensors) > MAX_TENSORS:
        raise ModelError(f"{path.name} and its parts have more than {MAX_TENSORS:,} tensors", HINT)
    return files[0]._replace(tensors=tensors, parts=paths)


def parts(path: Path) -> tuple[Path, ...]:
    """By its name, the files that a model is split into (NAME-00001-of-00003.gguf …), or the file itself alone."""
    named = PART.fullmatch(path.name)
    count = int(named[2]) if named else 0
    if named is None or not 1 < count <= MAX_PARTS:
        return (path,)
    return tuple(path.with_name(f"{named[1]}-{n:05}-of-{count:05}.gguf") for n in range(1, count + 1))


def _read(path: Path) -> File:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ModelError(f"{path} is not a regular file", HINT)
        with path.open("rb") as handle:
            if not handle.read(1):
                raise ModelError(f"{path.name} is empty", HINT)
            refuse_pointer(path)
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as view:
                metadata, tensors = _Header(view, path.name).parse()
        refuse_holes(path)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", "Check the path and its permissions.") from None
    return File(path, metadata, tensors, (path,))


class _Header:
    """A cursor over the mapped file that never steps outside it."""

    def __init__(self, view: mmap.mmap, name: str) -> None:
        self.view = view
        self.name = name
        self.size = len(view)
        self.at = 0
        self.elements = 0

    def bad(self, what: str, hint: str = HINT) -> ModelError:
        return ModelError(f"{self.name} is not a usable GGUF file: {what}", hint)

    def parse(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        magic = self.take(4)
        if magic in OLDER:
            raise self.bad("it is in a format of llama.cpp from before GGUF", CONVERT)
        if magic != b"GGUF":
            raise self.bad("it does not start with GGUF", "Give a GGUF file, or a folder with model.safetensors.")
        if (version := self.number("I")) not in (2, 3):
            raise self.bad(f"version {version} is not supported", CONVERT)
        tensor_count = self.count("Q", MAX_TENSORS, "tensors")
        key_count = self.count("Q", MAX_KEYS, "metadata keys")
        metadata: dict[str, Any] = {}
        for _ in range(key_count):
            key = self.string(MAX_NAME)
            if key in metadata:
                raise self.bad(f"the key {key!r} occurs twice")
            metadata[key] = self.value(self.number("I"))
        return metadata, self.tensors(tensor_count, self.alignment(metadata))

    def alignment(self, metadata: dict[str, Any]) -> int:
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= 2**16 or alignment & (alignment - 1):
            raise self.bad(f"alignment {alignment!r}")
        return alignment

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > self.size or end > MAX_HEADER:
            raise self.bad("the header runs past the end of the file" if end > self.size else "the header is too long")
        data = self.view[self.at : end]
        self.at = end
        return data

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def count(self, code: str, limit: int, what: str) -> int:
        value = int(self.number(code))
        if value > limit:
            raise self.bad(f"{value:,} {what}; the limit is {limit:,}")
        return value

    def string(self, limit: int = MAX_STRING) -> str:
        try:
            return self.take(self.count("Q", limit, "bytes of text")).decode("utf-8")
        except UnicodeDecodeError:
            raise self.bad("a text is not UTF-8") from None

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            return self.array()
        if kind not in SCALARS:
            raise self.bad(f"unknown value type {kind}")
        return self.number(SCALARS[kind])

    def array(self) -> list[str] | npt.NDArray[Any]:
        kind = self.number("I")
        length = self.count("Q", MAX_ELEMENTS, "array elements")
        self.elements += length
        if self.elements > MAX_ELEMENTS:
            raise self.bad(f"more than {MAX_ELEMENTS:,} array elements")
        if kind == STRING:
            return [self.string() for _ in range(length)]
        if kind not in SCALARS:
            raise self.bad(f"an array of type {kind}")
        dtype = np.dtype(SCALARS[kind]).newbyteorder("<")
        return np.frombuffer(self.take(length * dtype.itemsize), dtype)

    def tensors(self, count: int, alignment: int) -> dict[str, Tensor]:
        raw = [self.tensor() for _ in range(count)]
        start = -(-self.at // alignment) * alignment
        tensors: dict[str, Tensor] = {}
        for name, tensor in raw:
            if name in tensors:
                raise self.bad(f"the tensor {name!r} occurs twice")
            if tensor.offset % alignment or start + tensor.offset + tensor.bytes > self.size:
                raise self.bad(f"the tensor {name!r} lies outside the file")
            tensors[name] = tensor._replace(offset=start + tensor.offset)
        end = 0
        for name, tensor in sorted(tensors.items(), key=lambda item: item[1].offset):
            if tensor.offset < end:
                raise self.bad(f"the tensor {name!r} overlaps another")
            end = tensor.offset + tensor.bytes
        return tensors

    def tensor(self) -> tuple[str, Tensor]:
        name = self.string(MAX_NAME)
        dimensions = self.count("I", MAX_DIMENSIONS, "dimensions")
        shape = tuple(self.count("Q", MAX_DIMENSION, "in a dimension") for _ in range(dimensions))[::-1]
        kind, offset = self.number("I"), self.number("Q")
        sizes = _block_sizes()
        if not shape or 0 in shape or kind not in sizes:
            raise self.bad(f"the tensor {name!r} has shape {shape} and type {kind}")
        per_block, block_bytes = sizes[kind]
        if shape[-1] % per_block:
            raise self.bad(f"the tensor {name!r} has rows of {shape[-1]}, not a multiple of {per_block}")
        return name, Tensor(shape, kind, offset, math.prod(shape) // per_block * block_bytes)


def rows(file: File, tensor: Tensor, start: int, stop: int) -> npt.NDArray[np.float32]:
    """Rows start..stop of a tensor as fp32 [stop - start, columns]; a 1-d tensor is one row."""
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    per_block, block_bytes = _block_sizes()[tensor.type]
    row_bytes = tensor.shape[-1] // per_block * block_bytes
    data = _bytes(file.parts[tensor.part], tensor.offset + start * row_bytes, (stop - start) * row_bytes)
    packed = np.frombuffer(data, np.uint8).reshape(stop - start, row_bytes)
    try:
        values = dequantize(packed, GGMLQuantizationType(tensor.type))
    except NotImplementedError:
        raise ModelError(
            f"{file.path.name} uses the tensor type {type_name(tensor.type)}, which cannot be decoded here",
            "Use a GGUF file of another quantization, for example Q4_1, Q4_K_M or Q8_0.",
        ) from None
    return np.asarray(values, np.float32).reshape(stop - start, tensor.shape[-1])


def type_name(kind: int) -> str:
    """The name of a tensor type, such as Q4_1."""
    from gguf.constants import GGMLQuantizationType

    return str(GGMLQuantizationType(kind).name)


def q4_1_blocks(path: str | Path, name: str, count: int) -> list[tuple[float, float, tuple[int, ...]]]:
    """The first `count` blocks of a Q4_1 tensor (GGUF name, such as `blk.0.attn_q.weight`), as stored in the file.

    A block is (scale d, minimum m, 32 codes of 0..15) and stands for the 32 weights d * code + m, in the order of the
    row. For `attn_q` and `attn_k` of a llama file the rows are in the file's order, not Hugging Face's.
    """
    file = read(Path(path))
    tensor = file.tensors.get(name)
    if tensor is None or tensor.type != Q4_1:
        raise ModelError(f"{file.path.name} has no Q4_1 tensor {name!r}", "Use a Q4_1 file.")
    count = min(count, tensor.bytes // Q4_1_BLOCK.itemsize)
    blocks = np.frombuffer(_bytes(file.parts[tensor.part], tensor.offset, count * Q4_1_BLOCK.itemsize), Q4_1_BLOCK)
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1)
    return [(float(b["d"]), float(b["m"]), tuple(map(int, c))) for b, c in zip(blocks, codes, strict=True)]


def _bytes(path: Path, offset: int, length: int) -> bytes:
    # read, not mapped: a file that shrinks meanwhile is then an error instead of a SIGBUS
    try:
        with path.open("rb") as handle:
            handle.seek(offset)
            data = handle.read(length)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", "Check the path and its permissions.") from None
    if len(data) != length:
        raise ModelError(f"{path.name} became shorter while it was read", HINT)
    return data


@functools.cache
def _block_sizes() -> dict[int, tuple[int, int]]:
    """Tensor type → (weights per block, bytes per block)."""
    from gguf.constants import GGML_QUANT_SIZES

    return {int(kind): (int(weights), int(size)) for kind, (weights, size) in GGML_QUANT_SIZES.items()}
