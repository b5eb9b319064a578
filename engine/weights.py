"""From the files of a checkpoint to the tensors that the decoder reads."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import torch
from safetensors import safe_open
from torch import Tensor

from llm_holes.engine.checkpoint.layouts import HEAD, TABLE, Source, layout, sources
from llm_holes.engine.checkpoint.tensors import SCALE
from llm_holes.engine.checkpoint.validate import Checkpoint
from llm_holes.engine.device import DTYPES, Place
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import Config
from llm_holes.engine.model.packed import Bf16Weight, PackedWeight, Widened
from llm_holes.engine.model.quantized_formats import Block

ON_CPU = Place()


def load_weights(checkpoint: Checkpoint, place: Place = ON_CPU) -> dict[str, Tensor]:
    """The tensors of the checkpoint that are read, by name, on the CPU in the type of `place`: mapped from disk where
    they are of it already, FP8 ones multiplied by the scales of their blocks. Raises ModelError."""
    weights: dict[str, Tensor] = {}
    for path in checkpoint.weights:
        try:
            with safe_open(path, framework="pt") as file:
                for name, stored in checkpoint.tensors.items():
                    if stored.path == path:
                        weights[name] = _typed(file.get_tensor(stored.name), place, scaled=checkpoint.block is not None)
        except Exception as error:  # safetensors raises its own, undeclared errors
            raise ModelError(f"{path} cannot be read: {error!s:.200}", "Give an undamaged copy of it.") from None
    for name in [name for name in weights if name.endswith(SCALE)]:
        matrix = name.removesuffix(SCALE)
        weights[matrix] = unscaled(weights[matrix], weights.pop(name), checkpoint.block)
    return weights


def placed(weights: Mapping[str, Tensor], place: Place) -> tuple[Mapping[str, Tensor], dict[str, PackedWeight]]:
    """The decoder's tensors by name on the device of `place`, and those of its matrices that it multiplies with in
    fewer bits."""
    there = {name: _typed(w, place).to(place.device) for name, w in weights.items()}
    short = {name.removesuffix(".weight"): Bf16Weight(w) for name, w in there.items() if w.dtype == torch.bfloat16}
    return (Widened(there) if short else there), dict(short)


def _typed(w: Tensor, place: Place, scaled: bool = False) -> Tensor:
    """A matrix in the type of `place`; what is added, or multiplied number by number, in fp32."""
    return w.float() if w.dim() < 2 or scaled else w.to(DTYPES[place.dtype])


def unscaled(codes: Tensor, scales: Tensor, block: Block | None) -> Tensor:
    """The matrix [out, in] whose blocks of `block` rows and columns were divided by `scales` [blocks, blocks]."""
    rows, columns = block or codes.shape
    wide = scales.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
    return codes.mul_(wide[: codes.shape[0], : codes.shape[1]])


def tied(config: Config, weights: dict[str, Tensor]) -> tuple[Config, dict[str, Tensor]]:
    """What a config that says the output table is the input table means beside a file that holds both, as
    transformers 5 has it: one table where they are equal (a copy counts once), else the two that are there."""
    head = weights.get(HEAD)
    if not config.tied_embeddings or head is None:
        return config, weights
    rest = {name: w for name, w in weights.items() if name != HEAD}
    if torch.equal(rest.setdefault(TABLE, head), head):
        return config, rest
    return msgspec.structs.replace(config, tied_embeddings=False), weights


def rearranged(config: Config, stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by the decoder's names and in its shapes, from those of a complete checkpoint. What lies in it as the
    decoder has it is not copied."""
    both = sources(msgspec.structs.replace(config, tied_embeddings=False))  # a tied model may have either table
    found = {name: _made(config, stored, name, way) for name, way in both.items() if way.names[0] in stored}
    if offset := layout(config).gain_offset:
        found |= {name: w + offset for name, w in found.items() if name.endswith("norm.weight")}
    return found


def _made(config: Config, stored: Mapping[str, Tensor], name: str, source: Source) -> Tensor:
    if len(source.names) > 1:
        return torch.cat([stored[part] for part in source.names], dim=1 if "down_proj" in name else 0)
    w = stored[source.names[0]]
    w = w.T if source.transposed else w
    if source.rows == len(w):
        return w.contiguous()
    if not layout(config).by_head:
        return w[source.first : source.first + source.rows].contiguous()
    heads = w.view(config.n_heads, -1, config.d_head, *w.shape[1:])
    return heads[:, source.first // source.rows].flatten(0, 1)
