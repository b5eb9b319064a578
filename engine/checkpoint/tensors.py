"""Which tensors a checkpoint must have and may have besides: every one is read, passed over for a reason, or refused by
name. Torch-free."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from llm_holes.engine.checkpoint.layouts import HEAD, TABLE, layout, sources, stored_name
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import Config
from llm_holes.engine.model.quantized_formats import TENSORS, Block, refused

SCALE = "_scale_inv"
READ = {"F32": 4, "BF16": 2, "F16": 2}
FP8 = "F8_E4M3"
HINT = "Use an unchanged checkpoint of one of the families that `llm-holes` reads."
# buffers that older versions of transformers saved; they follow from the config
INERT = re.compile(
    r"(.+\.)?(rotary_emb\.(inv_freq|cos_cached|sin_cached)|(self_attn|attn|attention)\.(masked_bias|bias))"
)


class Stored(NamedTuple):
    """One tensor of a safetensors file; `start` is from the file's beginning, in bytes."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    bytes: int


def used(config: Config, stored: Mapping[str, Stored], block: Block | None) -> dict[str, Stored]:
    """The tensors to load, by the name that the family has for them.

    Raises ModelError for one that is missing, of another shape, of a type that is not read, or that nobody reads.
    """
    table, head = stored_name(config, TABLE), stored_name(config, HEAD)
    named = {name: t for name, t in _named(config, stored, table, head).items() if not INERT.fullmatch(name)}
    expected = {name: source.shape for source in sources(config).values() for name in source.names}
    if config.tied_embeddings and head in named:
        expected[head] = expected[table]
        if table not in named:  # transformers ties whichever of the two is there to the other
            del expected[table]
    if block:
        expected |= _scales(named, expected, block)
    for name in named.keys() - expected.keys():
        if format := next((format for end, format in TENSORS.items() if name.endswith(end)), None):
            raise refused(format)
    if other := named.keys() - expected.keys():
        raise ModelError(
            f"the checkpoint has the tensor {named[min(other)].name!r}, for which a {config.family} model has no use",
            HINT,
        )
    if missing := expected.keys() - named.keys():
        hint = f'{HINT} If the input table is the output table too, config.json says "tie_word_embeddings": true.'
        raise ModelError(
            f"the checkpoint has no {min(missing)}, which config.json calls for", hint if missing == {head} else HINT
        )
    for name, shape in expected.items():
        _check(named[name], shape, block if f"{name}{SCALE}" in expected else None)
    return named


def _check(tensor: Stored, shape: tuple[int, ...], block: Block | None) -> None:
    if tensor.shape != shape:
        raise ModelError(f"{tensor.name} is {tensor.shape}, config.json says {shape}", HINT)
    kinds = {FP8: 1} if block else READ
    if tensor.dtype not in kinds:
        raise ModelError(
            f"{tensor.name} is of type {tensor.dtype}, which llm-holes does not read",
            f"Use a checkpoint in one of {', '.join(READ)}.",
        )
    if tensor.bytes != math.prod(shape) * kinds[tensor.dtype]:
        raise ModelError(f"{tensor.path} is damaged: {tensor.name} has {tensor.bytes:,} bytes", HINT)


def _scales(
    named: Mapping[str, Stored], expected: Mapping[str, tuple[int, ...]], block: Block
) -> dict[str, tuple[int, ...]]:
    """The shape of the scales of each FP8 matrix."""
    return {
        f"{name}{SCALE}": tuple(math.ceil(size / step) for size, step in zip(shape, block, strict=True))
        for name, shape in expected.items()
        if name in named and named[name].dtype == FP8 and len(shape) == 2
    }


def _named(config: Config, stored: Mapping[str, Stored], table: str, head: str) -> dict[str, Stored]:
    """The tensors with the family's `model.` before their names, where it was left out (the body of a model saved on
    its own)."""
    body = f"{layout(config).body}."
    bare = table.removeprefix(body)
    if table in stored or not (place := next((name for name in stored if name.endswith(bare)), None)):
        return dict(stored)
    if prefix := place.removesuffix(bare):
        raise ModelError(
            f"the checkpoint's tensors begin with {prefix!r} where those of a model begin with {body!r}",
            "Save the model itself, without what was wrapped around it, or rename its tensors.",
        )
    return {name if name == head else f"{body}{name}": tensor for name, tensor in stored.items()}
