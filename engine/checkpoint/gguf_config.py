"""The `config.json` that the metadata of a GGUF file stand for. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from llm_holes.engine.checkpoint import gguf
from llm_holes.engine.checkpoint.gguf_architectures import ARCHITECTURES, WINDOW, Architecture, known
from llm_holes.engine.checkpoint.gguf_tokenizer import special_id
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.families import FAMILIES
from llm_holes.engine.model.windows import FULL, SLIDING

# keys of an architecture that are read here, or that change nothing of the forward pass
USED = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
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
    WINDOW: 0,
}
WITH_EXPERTS: dict[str, Any] = {
    "expert_shared_count": 0,
    "expert_weights_norm": True,
    "expert_weights_scale": 1.0,
    "expert_gating_func": 1,  # softmax
    "leading_dense_block_count": 0,
}
PATTERN, LOCAL_BASE = f"{WINDOW}_pattern", "rope.freq_base_swa"
RMS, LAYER = "attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"
LARGEST_GEMMAS = {"gemma2": 46, "gemma3": 62}
"""Layers of the 27B models, whose scores are divided by another root than that of a head's length."""
Get = Callable[..., Any]


def config_of(file: gguf.File) -> dict[str, Any]:
    """The parsed `config.json`, under the names that the family has for its keys. Raises ModelError for what the file
    says and nobody here reads."""
    _refuse_part(file)
    architecture = known(file)
    if architecture is None:
        raise unsupported(file, f"the architecture {file.metadata.get('general.architecture')!r:.60}")
    family = FAMILIES[architecture.family]
    prefix = f"{file.metadata['general.architecture']}."
    _refuse_unknown(file, prefix, architecture)

    def get(key: str, kind: type[Any], default: Any = None) -> Any:
        return _get(file, prefix + key, kind, default)

    said: dict[str, Any] = {
        **architecture.unsaid,
        **_sizes(file, get),
        "max_position_embeddings": get("context_length", int),
        "vocab_size": tensor(file, "token_embd.weight").shape[0],
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "bos_token_id": special_id(file, "bos"),
        "eos_token_id": _end_ids(file),
        "pad_token_id": special_id(file, "padding"),  # transformers has one of its own for what says none
        "rms_norm_eps": _short(get(LAYER if family.norm == "layer" else RMS, float)),
        **{
            name: _plain(file, prefix + key) for key, name in architecture.keys.items() if prefix + key in file.metadata
        },
    }
    said.setdefault("hidden_act", "silu")
    biased = {"attention_bias": ("attn_q", "attn_qkv"), "mlp_bias": ("ffn_down",)}
    for key in family.biased_by:
        said[key] = any(f"blk.0.{part}.bias" in file.tensors for part in biased[key])
    if not family.learned_places:
        said["rope_parameters"] = _rope(file, get, said["head_dim"], part="partial_rotary_factor" in family.silent)
    said |= _scores(architecture, prefix, said)
    if architecture.window_every:
        said |= _windows(file, get, architecture, said)
    if WINDOW in architecture.keys and not said.get("sliding_window"):
        said["sliding_window"] = None
    own = {shared: name for name, shared in family.renamed.items()}
    return {
        "model_type": architecture.family,
        "architectures": [architecture.transformers],
        **{own.get(key, key): value for key, value in said.items()},
        "dtype": "float32",
    }


def _sizes(file: gguf.File, get: Get) -> dict[str, Any]:
    hidden, heads = get("embedding_length", int), get("attention.head_count", int)
    if heads < 1 or hidden < 1:
        raise unsupported(file, f"{heads} heads for a width of {hidden}")
    kv_heads = get("attention.head_count_kv", int, heads)
    if kv_heads < 1 or heads % kv_heads:
        raise unsupported(file, f"{kv_heads} key/value heads for {heads} heads")
    head_dim = get("attention.key_length", int, hidden // heads)
    if head_dim < 1:
        raise unsupported(file, f"heads of length {head_dim}")
    if get("attention.value_length", int, head_dim) != head_dim:
        raise unsupported(file, "values of another length than keys")
    stacked = file.tensors.get("blk.0.ffn_up_exps.weight")  # [expert, neuron, d_model]
    return {
        "hidden_size": hidden,
        "intermediate_size": stacked.shape[-2] if stacked and stacked.shape[1:] else get("feed_forward_length", int),
        "num_hidden_layers": get("block_count", int),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
    }


def _scores(architecture: Architecture, prefix: str, said: dict[str, Any]) -> dict[str, Any]:
    """What scores are multiplied with or divided by, where llama.cpp has a rule instead of a key."""
    if architecture.family == "granite" and "attention_multiplier" not in said:
        return {"attention_multiplier": said["head_dim"] ** -0.5}
    if (layers := LARGEST_GEMMAS.get(prefix[:-1])) is None:
        return {}
    largest = said["num_hidden_layers"] == layers
    shared = said["hidden_size"] // said["num_attention_heads"]
    return {"query_pre_attn_scalar": shared if largest else said["head_dim"]}


def _windows(file: gguf.File, get: Get, architecture: Architecture, said: dict[str, Any]) -> dict[str, Any]:
    """Which layers see only the last positions, and in Gemma 3 the rotation of those."""
    layers, every = said["num_hidden_layers"], file.metadata.get(f"{_name(file)}.{PATTERN}", architecture.window_every)
    if isinstance(every, np.ndarray) and len(every) == layers:
        windowed = [bool(value) for value in every]
    elif type(every) is int and every >= 0 and layers <= 2_000:
        windowed = [every == 0 or (layer + 1) % every != 0 for layer in range(layers)]
    else:
        raise unsupported(file, f"{PATTERN} = {every!r:.60}")
    if not said.get("sliding_window"):
        windowed = [False] * layers
    found: dict[str, Any] = {"layer_types": [SLIDING if window else FULL for window in windowed]}
    if architecture.family == "gemma3_text":
        local = {"rope_type": "default", "rope_theta": get(LOCAL_BASE, float, 10_000.0)}
        found["rope_parameters"] = {FULL: said["rope_parameters"], SLIDING: local}
    return found


def _name(file: gguf.File) -> str:
    return str(file.metadata["general.architecture"])


def _refuse_part(file: gguf.File) -> None:
    """Raises ModelError for a file that is no whole model."""
    kind = file.metadata.get("general.type", "model")
    if isinstance(kind, str) and kind != "model":
        raise ModelError(f"{file.path.name} is of type {kind!r:.40}, not a model of its own", "Give the model's file.")


def _refuse_unknown(file: gguf.File, prefix: str, architecture: Architecture) -> None:
    """Raises ModelError for what the file says of its architecture and nobody here reads."""
    layered = FAMILIES[architecture.family].norm == "layer"
    used = USED | INERT | architecture.keys.keys() | {LAYER if layered else RMS}
    without_effect = WITHOUT_EFFECT
    if architecture.window_every:
        used |= {PATTERN} | ({LOCAL_BASE} if architecture.family == "gemma3_text" else set())
    if "expert_count" in architecture.keys:
        used |= {"expert_feed_forward_length"}  # as wide as the tensors are
        without_effect = WITHOUT_EFFECT | WITH_EXPERTS
    for name, value in file.metadata.items():
        part = name.removeprefix(prefix)
        if part == name or part in used:
            continue
        if not isinstance(value, int | float) or part not in without_effect or value != without_effect[part]:
            raise unsupported(file, f"{name} = {value!r:.60}")


def _rope(file: gguf.File, get: Get, head_dim: int, part: bool) -> dict[str, Any]:
    theta = _short(get("rope.freq_base", float, 10_000.0))
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": theta}
    dims = get("rope.dimension_count", int, head_dim)
    if dims != head_dim and not (part and 0 < dims < head_dim):
        raise unsupported(file, "rotary positions on a part of each head")
    if dims % 2:
        raise unsupported(file, f"{dims} dimensions to rotate in pairs")
    if dims != head_dim:
        rope["partial_rotary_factor"] = dims / head_dim
    if "rope_freqs.weight" in file.tensors:
        return rope | _llama3_scaling(file, theta, head_dim)
    # as llama.cpp: a factor without a type is linear, the oldest files call it scale_linear, and 0 is none
    kind = get("rope.scaling.type", str, "linear")
    old = get("rope.scale_linear", float, 0.0)
    factor = get("rope.scaling.factor", float, old)
    if kind == "linear" and factor not in (0, 1):
        rope |= {"rope_type": kind, "factor": factor}
    elif kind not in ("none", "linear"):
        raise unsupported(file, f"rope scaling {kind!r}")
    return rope


def _llama3_scaling(file: gguf.File, theta: float, head_dim: int) -> dict[str, Any]:
    """Llama 3.1's scaling, which GGUF stores as one divisor per frequency: recovered, then checked against them."""
    freqs = tensor(file, "rope_freqs.weight")
    if freqs.shape != (head_dim // 2,):
        raise unsupported(file, f"rope_freqs of shape {freqs.shape}")
    stored = gguf.rows(file, freqs, 0, 1)[0]
    factor, original, low, high = float(stored.max()), 8192, 1.0, 4.0
    wavelength = 2 * math.pi * theta ** (np.arange(0, head_dim, 2) / head_dim)
    smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
    if not factor >= 1 or not np.allclose(1 / ((1 - smooth) / factor + smooth), stored, rtol=1e-3):
        raise unsupported(file, "a rope scaling other than Llama 3's")
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


def tensor(file: gguf.File, name: str) -> gguf.Tensor:
    if name not in file.tensors:
        raise ModelError(f"{file.path.name} has no tensor {name!r}, which models of its kind have", gguf.CONVERT)
    return file.tensors[name]


def _get(file: gguf.File, key: str, kind: type[Any], default: Any = None) -> Any:
    value = file.metadata.get(key, default)
    if value is None:
        raise ModelError(f"{file.path.name} does not say {key}, which files of a whole model do", gguf.CONVERT)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise unsupported(file, f"{key} = {value!r:.60}")
    return value


def _plain(file: gguf.File, key: str) -> bool | int | float:
    """A number, or what is on or off. Raises ModelError."""
    value = file.metadata[key]
    if isinstance(value, bool | int):
        return value
    return _short(float(_get(file, key, float)))


def _short(value: float) -> float:
    """The shortest decimal that is this fp32 number: 1e-05 rather than 9.999999747378752e-06."""
    with np.errstate(over="ignore"):  # of a file that has 64 bits for it
        return float(str(np.float32(value)))


def unsupported(file: gguf.File, what: str) -> ModelError:
    return ModelError(
        f"{file.path.name} has {what}, which llm-holes does not know",
        f"Use a file of another model; architectures that are read: {', '.join(ARCHITECTURES)}.",
    )
