"""Which format a quantized checkpoint is in, by what its config or its tensors say. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config_numbers import count

WAY_OUT = "Use the model's folder from before it was quantized (bf16, fp16 or fp32), or a GGUF file of it."
FORMATS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "fp8": "FP8",
    "fbgemm_fp8": "FBGEMM FP8",
    "mxfp4": "MXFP4",
    "hqq": "HQQ",
    "aqlm": "AQLM",
    "modelopt": "ModelOpt",
}
# ends of tensor names that only such files have; the first that fits names the format
TENSORS = {
    ".g_idx": "GPTQ",
    ".qzeros": "GPTQ or AWQ",
    ".qweight": "GPTQ or AWQ",
    ".SCB": "bitsandbytes",
    ".absmax": "bitsandbytes",
    ".quant_map": "bitsandbytes",
    ".weight_format": "bitsandbytes",
    ".bitsandbytes__nf4": "bitsandbytes",
    ".bitsandbytes__fp4": "bitsandbytes",
    ".weight_packed": "compressed-tensors",
    ".weight_shape": "compressed-tensors",
    ".weight_scale": "FP8 or compressed-tensors",
    ".weight_scale_inv": "FP8",
    ".input_scale": "FP8",
    ".biases": "MLX",
    ".scales": "GPTQ or MLX",
}
Block = tuple[int, int]


def refused(format: str) -> ModelError:
    return ModelError(f"the weights are quantized as {format}, which llm-holes does not read", WAY_OUT)


def fp8_block(raw: Mapping[str, Any]) -> Block | None:
    """Rows and columns of the blocks that share a scale in an FP8 checkpoint; None for one that is not quantized.

    Raises ModelError, with the name of the format, for every other one. Layout: transformers, FineGrainedFP8Config.
    """
    if raw.get("quantization"):
        raise refused("MLX")
    given = raw.get("quantization_config") or raw.get("compression_config")
    if not given:
        return None
    method = given.get("quant_method") if isinstance(given, dict) else None
    if method is None:
        method = "compressed-tensors" if raw.get("compression_config") else _unnamed(given)
    if method != "fp8":
        raise refused(FORMATS.get(str(method), f"{method!r:.40}"))
    match given:
        case {"weight_block_size": [rows, columns]} if (
            given.get("fmt", "e4m3") == "e4m3" and given.get("activation_scheme", "dynamic") == "dynamic"
        ):
            return count(rows, "weight_block_size"), count(columns, "weight_block_size")
    raise refused("FP8 without a scale for each block")


def _unnamed(given: Any) -> str:
    keys = given if isinstance(given, dict) else {}
    if any(key.startswith(("load_in_", "bnb_")) for key in keys):
        return "bitsandbytes"
    return "MLX" if {"bits", "group_size"} <= set(keys) else "an unnamed format"
