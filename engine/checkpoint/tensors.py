"""Which tensors a checkpoint must have and may have besides: every one is read, passed over for a reason, or refused by
name. Torch-free."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import Config
from llm_holes.engine.model.quantized_formats import TENSORS, Block, refused

TABLE, HEAD = "model.embed_tokens.weight", "lm_head.weight"
SCALE = "_scale_inv"
READ = {"F32": 4, "BF16": 2, "F16": 2}
FP8 = "F8_E4M3"
HINT = "Use an unchanged checkpoint of one of the families that `llm-holes` reads."
# buffers that older versions of transformers saved; they follow from the config
INERT = re.compile(r"(.+\.)?(rotary_emb\.(inv_freq|cos_cached|sin_cached)|(self_)?attn\.(masked_bias|bias))")


class Stored(NamedTuple):
    """One tensor of a safetensors file; `start` is from the file's beginning, in bytes."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    bytes: int


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that the decoder reads, by name."""
    q, kv, d, mlp = config.n_heads * config.d_head, config.n_kv_heads * config.d_head, config.d_model, config.d_mlp
    matrices: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (q, d),
        "self_attn.k_proj": (kv, d),
        "self_attn.v_proj": (kv, d),
        "self_attn.o_proj": (d, q),
        "mlp.gate_proj": (mlp, d),
        "mlp.up_proj": (mlp, d),
        "mlp.down_proj": (d, mlp),
    }
    layer: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in matrices.items()}
    layer |= {f"{name}.bias": matrices[name][:1] for name in config.biases}
    layer |= dict.fromkeys(("input_layernorm.weight", "post_attention_layernorm.weight"), (d,))
    if config.family == "qwen3":
        layer |= dict.fromkeys(("self_attn.q_norm.weight", "self_attn.k_norm.weight"), (config.d_head,))
    found: dict[str, tuple[int, ...]] = {TABLE: (config.d_vocab, d), "model.norm.weight": (d,)}
    if not config.tied_embeddings:
        found[HEAD] = found[TABLE]
    for index in range(config.n_layers):
        found |= {f"model.layers.{index}.{name}": shape for name, shape in layer.items()}
    return found


def used(config: Config, stored: Mapping[str, Stored], block: Block | None) -> dict[str, Stored]:
    """The tensors to load, by the name the decoder has for them.

    Raises ModelError for one that is missing, of another shape, of a type that is not read, or that nobody reads.
    """
    named = {name: tensor for name, tensor in _named(stored).items() if not INERT.fullmatch(name)}
    expected = shapes(config)
    if config.tied_embeddings and HEAD in named:
        expected[HEAD] = expected[TABLE]
        if TABLE not in named:  # transformers ties whichever of the two is there to the other
            del expected[TABLE]
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
        raise ModelError(f"the checkpoint has no {min(missing)}, which config.json calls for", HINT)
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


def _named(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors with `model.` before their names, where it was left out (the body of a model saved on its own)."""
    table = TABLE.removeprefix("model.")
    if TABLE in stored or not (place := next((name for name in stored if name.endswith(table)), None)):
        return dict(stored)
    if prefix := place.removesuffix(table):
        raise ModelError(
            f"the checkpoint's tensors begin with {prefix!r} where those of a model begin with 'model.'",
            "Save the model itself, without what was wrapped around it, or rename its tensors.",
        )
    return {name if name == HEAD else f"model.{name}": tensor for name, tensor in stored.items()}
