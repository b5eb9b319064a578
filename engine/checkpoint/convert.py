"""A GGUF file as the Hugging Face folder it came from: config.json, tokenizer files and fp32 model.safetensors.

Torch-free. Covers the architectures llama (Mistral files say llama too), qwen2 and qwen3.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_holes.engine.checkpoint import fp32_file, gguf
from llm_holes.engine.checkpoint.download import check_space
from llm_holes.engine.checkpoint.finite import SPECIAL, finite_bits, special
from llm_holes.engine.checkpoint.gguf_tokenizer import special_id, write_tokenizer
from llm_holes.engine.checkpoint.layouts import HEAD, shapes
from llm_holes.engine.checkpoint.room import FP32, refuse_hopeless
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import from_hugging_face

CHUNK = 2**20
NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# keys of an architecture that are read here, or that change nothing of the forward pass
USED = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.factor",
    "rope.scaling.type",
}
INERT = {
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "tensor_data_layout",
    "vocab_size",
}
WITHOUT_EFFECT: dict[str, Any] = {
    "attention.causal": True,
    "expert_count": 0,
    "expert_used_count": 0,
    "use_parallel_residual": False,
    "rope.scaling.attn_factor": 1.0,
    "pooling_type": 0,
    "attention.sliding_window": 0,
}
LAYER = re.compile(r"blk\.(\d{1,4})\.(\w+)\.(weight|bias)")


def convert(source: Path, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Write the converted files into `folder` (exists, not yet in use); progress(bytes written, bytes in all).

    Raises ModelError for a file it does not understand, OSError when writing fails.
    """
    file = gguf.read(source)
    config, names = check(file)
    check_space(folder, FP32 * _numbers(file))
    write_tokenizer(file, folder)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    _write_weights(file, config, names, folder / "model.safetensors", progress)


def check(file: gguf.File) -> tuple[dict[str, Any], dict[str, str]]:
    """The config, and the file's name of each tensor by the one it gets. Raises ModelError for what is not read."""
    config = _config(file)
    names = _names(file, config)
    refuse_hopeless(_numbers(file))
    return config, names


def _numbers(file: gguf.File) -> int:
    return sum(math.prod(tensor.shape) for tensor in file.tensors.values())


def _config(file: gguf.File) -> dict[str, Any]:
    _refuse_part(file)
    architecture = _get(file, "general.architecture", str)
    if architecture not in ("llama", "qwen2", "qwen3"):
        raise _unsupported(file, f"the architecture {architecture!r}")
    key = architecture + "."
    heads = _get(file, key + "attention.head_count", int)
    hidden = _get(file, key + "embedding_length", int)
    if heads < 1 or hidden < 1 or hidden % heads:
        raise _unsupported(file, f"{heads} heads for a width of {hidden}")
    kv_heads = _get(file, key + "attention.head_count_kv", int, heads)
    if kv_heads < 1 or heads % kv_heads:
        raise _unsupported(file, f"{kv_heads} key/value heads for {heads} heads")
    head_dim = _get(file, key + "attention.key_length", int, hidden // heads)
    if _get(file, key + "rope.dimension_count", int, head_dim) != head_dim or head_dim % 2:
        raise _unsupported(file, "rotary positions on a part of each head")
    if file.metadata.get(key + "expert_count"):
        raise _unsupported(file, "a mixture of experts")
    if _get(file, key + "attention.value_length", int, head_dim) != head_dim:
        raise _unsupported(file, "values of another length than keys")
    _refuse_unknown(file, key)
    theta = _get(file, key + "rope.freq_base", float, 10_000.0)
    return {
        "architectures": [{"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[architecture] + "ForCausalLM"],
        "model_type": architecture,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": _get(file, key + "feed_forward_length", int),
        "num_hidden_layers": _get(file, key + "block_count", int),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "rms_norm_eps": _short(_get(file, key + "attention.layer_norm_rms_epsilon", float)),
        "rope_theta": theta,
        "rope_parameters": _rope(file, key, theta, head_dim),
        "max_position_embeddings": _get(file, key + "context_length", int),
        "vocab_size": _tensor(file, "token_embd.weight").shape[0],
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "bos_token_id": special_id(file, "bos"),
        "eos_token_id": _end_ids(file),
        "dtype": "float32",
    }


def _refuse_part(file: gguf.File) -> None:
    """Raises ModelError for a file that is no whole model."""
    kind = file.metadata.get("general.type", "model")
    if isinstance(kind, str) and kind != "model":
        raise ModelError(f"{file.path.name} is of type {kind!r:.40}, not a model of its own", "Give the model's file.")


def _refuse_unknown(file: gguf.File, key: str) -> None:
    """Raises ModelError for what the file says of its architecture and nobody here reads."""
    for name, value in file.metadata.items():
        part = name.removeprefix(key)
        if part == name or part in USED | INERT:
            continue
        if not isinstance(value, int | float) or part not in WITHOUT_EFFECT or value != WITHOUT_EFFECT[part]:
            raise _unsupported(file, f"{name} = {value!r:.60}")


def _rope(file: gguf.File, key: str, theta: float, head_dim: int) -> dict[str, Any]:
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": theta}
    if "rope_freqs.weight" in file.tensors:
        return rope | _llama3_scaling(file, theta, head_dim)
    # as llama.cpp: a factor without a type is linear, the oldest files call it scale_linear, and 0 is none
    kind = _get(file, key + "rope.scaling.type", str, "linear")
    old = _get(file, key + "rope.scale_linear", float, 0.0)
    factor = _get(file, key + "rope.scaling.factor", float, old)
    if kind == "linear" and factor not in (0, 1):
        rope |= {"rope_type": kind, "factor": factor}
    elif kind not in ("none", "linear"):
        raise _unsupported(file, f"rope scaling {kind!r}")
    return rope


def _llama3_scaling(file: gguf.File, theta: float, head_dim: int) -> dict[str, Any]:
    """Llama 3.1's scaling, which GGUF stores as one divisor per frequency: recovered, then checked against them."""
    tensor = _tensor(file, "rope_freqs.weight")
    if tensor.shape != (head_dim // 2,):
        raise _unsupported(file, f"rope_freqs of shape {tensor.shape}")
    stored = gguf.rows(file, tensor, 0, 1)[0]
    factor, original, low, high = float(stored.max()), 8192, 1.0, 4.0
    wavelength = 2 * math.pi * theta ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
    if not factor >= 1 or not np.allclose(1 / ((1 - smooth) / factor + smooth), stored, rtol=1e-3):
        raise _unsupported(file, "a rope scaling other than Llama 3's")
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": original,
    }


def _end_ids(file: gguf.File) -> int | list[int] | None:
    ids = {special_id(file, name) for name in ("eos", "eot")}
    found = sorted(index for index in ids if index is not None)
    return found[0] if len(found) == 1 else found or None


def _names(file: gguf.File, config: dict[str, Any]) -> dict[str, str]:
    """Hugging Face name → GGUF name, complete and with the right shapes."""
    try:
        expected = shapes(from_hugging_face({**config, "tie_word_embeddings": False}))
    except ValueError as error:
        raise _unsupported(file, str(error)) from None
    names: dict[str, str] = {}
    for name in file.tensors:
        layer = LAYER.fullmatch(name)
        if layer and layer[2] in LAYER_NAMES:
            names[f"model.layers.{int(layer[1])}.{LAYER_NAMES[layer[2]]}.{layer[3]}"] = name
        elif name in NAMES:
            names[NAMES[name]] = name
        elif name != "rope_freqs.weight":
            raise _unsupported(file, f"the tensor {name!r}")
    for target, name in names.items():
        if file.tensors[name].shape != expected.get(target):
            raise _unsupported(file, f"{name!r} of shape {file.tensors[name].shape}")
    if missing := expected.keys() - names.keys() - {HEAD}:
        raise _unsupported(file, f"no tensor for {min(missing)}")
    return names


def _write_weights(
    file: gguf.File, config: dict[str, Any], names: dict[str, str], target: Path, progress: Callable[[int, int], None]
) -> None:
    def chunks(name: str) -> fp32_file.Chunks:
        tensor = file.tensors[names[name]]
        permuted = config["model_type"] == "llama" and name.endswith(("q_proj.weight", "k_proj.weight"))
        for chunk in _chunks(file, tensor, config["head_dim"], permuted):
            if not finite_bits(chunk.view(np.uint32), SPECIAL["F32"][1]):
                raise special(file.parts[tensor.part], names[name])
            yield chunk

    shapes = {name: file.tensors[stored].shape for name, stored in names.items()}
    fp32_file.write(target, shapes, chunks, progress)


def _chunks(file: gguf.File, tensor: gguf.Tensor, head_dim: int, permuted: bool) -> Iterator[npt.NDArray[np.float32]]:
    """The tensor's rows a few heads at a time; `permuted` rows are put back into Hugging Face's order.

    GGUF pairs the rotated dimensions as (0, 1), (2, 3), …, Hugging Face as (0, d/2), (1, d/2 + 1), …
    """
    columns = tensor.shape[-1]
    count = math.prod(tensor.shape) // columns
    step = max(1, CHUNK // columns // head_dim) * head_dim
    for start in range(0, count, step):
        chunk = gguf.rows(file, tensor, start, min(start + step, count))
        if permuted:
            heads = chunk.reshape(-1, head_dim // 2, 2, columns)
            chunk = np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(-1, columns)
        yield chunk


def _tensor(file: gguf.File, name: str) -> gguf.Tensor:
    if name not in file.tensors:
        raise _unsupported(file, f"no tensor {name!r}")
    return file.tensors[name]


def _get(file: gguf.File, key: str, kind: type[Any], default: Any = None) -> Any:
    value = file.metadata.get(key, default)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise _unsupported(file, f"{key} = {value!r:.60}")
    return value


def _short(value: float) -> float:
    """The shortest decimal that is this fp32 number: 1e-05 rather than 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def _unsupported(file: gguf.File, what: str) -> ModelError:
    return ModelError(
        f"{file.path.name} has {what}, which llm-holes does not know", "Use a llama, qwen2 or qwen3 file."
    )
