"""The tensors of a GGUF file as a Hugging Face checkpoint has them: which is which, and what llama.cpp changed in them
undone. Torch-free.

What it changes: `modify_tensors` in llama.cpp's `conversion/*.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from llm_holes.engine.checkpoint import gguf
from llm_holes.engine.checkpoint.gguf_architectures import known
from llm_holes.engine.checkpoint.gguf_config import tensor, unsupported
from llm_holes.engine.checkpoint.layouts import HEAD, Shape, layout, sources, stored_name
from llm_holes.engine.model.config import Config

CHUNK = 2**20
Array = npt.NDArray[np.float32]
ROPE_FREQS = "rope_freqs.weight"
EXPERT = re.compile(r"experts\.(\d+)\.")
LAYER = re.compile(r"\.(\d+)\.")
TURNED = re.compile(r"\.[qk]_proj\.(weight|bias)")


class Place(NamedTuple):
    """Where a tensor of the Hugging Face checkpoint is: in the one of this name, of an expert's from row `first` on.
    `shape` is the one it gets."""

    name: str
    shape: Shape
    first: int


def places(file: gguf.File, config: Config) -> dict[str, Place]:
    """Each tensor that a checkpoint of this config has, by its name there. Raises ModelError for one that is missing or
    of another shape, and for one that nobody reads."""
    names = _Names(str(file.metadata["general.architecture"]))
    untied = msgspec.structs.replace(config, tied_embeddings=False)
    head = stored_name(untied, HEAD)
    experts = config.router.experts if config.router else 0
    turned = {f"{part}.weight" for part in layout(config).transposed}
    found: dict[str, Place] = {}
    for source in sources(untied).values():
        for number, name in enumerate(source.names):
            stored = names.of(name)
            if name == head and stored not in file.tensors:
                continue
            shape = source.shape[::-1] if name.endswith(tuple(turned)) else source.shape
            whole = (experts, *shape) if len(source.names) > 1 else shape
            if tensor(file, stored).shape != whole:
                raise unsupported(file, f"{stored!r} of shape {file.tensors[stored].shape}")
            found[name] = Place(stored, source.shape, number * shape[0] if len(source.names) > 1 else 0)
    if other := file.tensors.keys() - {place.name for place in found.values()} - {ROPE_FREQS}:
        raise unsupported(file, f"the tensor {min(other)!r}")
    return found


class _Names:
    """llama.cpp's names for the tensors of an architecture, from its own table for one layer. One that has no name
    there (an output table where none is ever untied) keeps its own, which no file has."""

    def __init__(self, architecture: str) -> None:
        from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

        kind = next(kind for kind, name in MODEL_ARCH_NAMES.items() if name == architecture)
        self.first_layer = get_tensor_name_map(kind, 1)

    def of(self, name: str) -> str:
        layer = LAYER.search(name)
        first = EXPERT.sub("experts.", LAYER.sub(".0.", name, count=1) if layer else name)
        found = self.first_layer.get_name(first, (".weight", ".bias")) or first
        return found.replace("blk.0.", f"blk.{layer[1]}.") if layer else found


def chunks(file: gguf.File, config: Config, name: str, place: Place) -> Iterator[Array]:
    """The numbers of a tensor of the Hugging Face checkpoint, some rows after others."""
    way, stored = layout(config), file.tensors[place.name]
    architecture = known(file)
    part = name.rpartition(".")[0].split(".")
    if name.endswith(".weight") and ".".join(part[-2:]) in way.transposed:
        return iter([np.ascontiguousarray(gguf.rows(file, stored, 0, stored.shape[0]).T)])
    if way.by_head and "attn_qkv" in place.name:
        return _by_head(file, config, stored)
    plain = _rows(file, stored, config.d_head, place)
    if architecture and architecture.interleaved and TURNED.search(name):
        return (_apart(chunk, config.d_head) for chunk in plain)
    if way.gain_offset and name.endswith("norm.weight"):
        return (chunk - np.float32(way.gain_offset) for chunk in plain)
    return plain


def _rows(file: gguf.File, stored: gguf.Tensor, d_head: int, place: Place) -> Iterator[Array]:
    """A few heads at a time; of a tensor of one dimension all."""
    columns = stored.shape[-1]
    end = place.first + math.prod(place.shape) // columns
    step = max(1, CHUNK // columns // d_head) * d_head
    for start in range(place.first, end, step):
        yield gguf.rows(file, stored, start, min(start + step, end))


def _apart(rows: Array, d_head: int) -> Array:
    """GGUF pairs the rotated dimensions as (0, 1), (2, 3), …, Hugging Face as (0, d/2), (1, d/2 + 1), …"""
    heads = rows.reshape(-1, d_head // 2, 2, 1 if len(rows) == 1 else rows.shape[-1])
    return np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(rows.shape)


def _by_head(file: gguf.File, config: Config, stored: gguf.Tensor) -> Iterator[Array]:
    """Rows for all queries, all keys, all values, as each head's queries, keys and values."""
    size = config.d_head
    if len(stored.shape) == 1:
        row = gguf.rows(file, stored, 0, 1).reshape(3, config.n_heads, size)
        yield np.ascontiguousarray(row.swapaxes(0, 1)).reshape(1, -1)
        return
    for head in range(config.n_heads):
        for kind in range(3):
            first = (kind * config.n_heads + head) * size
            yield gguf.rows(file, stored, first, first + size)
