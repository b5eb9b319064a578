"""A LoRA adapter merged into its base: W + scale · B A, written as a model of its own. Torch-free.

Source: Hu et al. 2021; files as PEFT writes them (adapter_config.json, adapter_model.safetensors).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from llm_holes.engine.checkpoint import fp32_file, validate
from llm_holes.engine.checkpoint.tensors import FP8, READ, Stored
from llm_holes.engine.disk import files
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config_numbers import number

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX, MATRICES = "base_model.model.", ("lora_A.weight", "lora_B.weight")
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "added_tokens.json",
)  # fmt: skip
USED = {"alpha_pattern", "base_model_name_or_path", "fan_in_fan_out", "lora_alpha", "peft_type", "r", "use_rslora"}
# of training, or told by the tensors themselves
INERT = {
    "arrow_config", "auto_mapping", "bias", "corda_config", "ensure_weight_tying", "eva_config", "exclude_modules",
    "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform", "loftq_config", "lora_dropout",
    "lora_ga_config", "megatron_config", "megatron_core", "peft_version", "qalora_group_size", "rank_pattern",
    "revision", "runtime_config", "target_modules", "task_type",
}  # fmt: skip
HINT = "Merge it into the base (peft: merge_and_unload, then save_pretrained) and give the merged folder."


class Pair(NamedTuple):
    """The two matrices that change one: `a` [r, in], `b` [out, r]."""

    a: Stored
    b: Stored


def base_name(folder: Path) -> str:
    """What the adapter says its base is. Raises ModelError if it is of another kind than is merged here, or says it
    nowhere."""
    try:
        config = files.read_json(folder / CONFIG)
    except OSError as error:
        raise ModelError(f"cannot read {folder / CONFIG}: {error.strerror}", "Check its permissions.") from None
    kind, base = config.get("peft_type"), config.get("base_model_name_or_path")
    told = f"{folder} is an adapter ({kind!s:.20}) for {base or 'a base model that it does not name'!s:.200}"
    if kind != "LORA":
        raise ModelError(f"{told}; only those of type LORA are merged here", HINT)
    for key, value in config.items():
        if (value and key not in USED | INERT) or (key == "bias" and value not in ("none", None)):
            raise ModelError(f"{told}, with {key} = {value!r:.80}, which is not merged here", HINT)
    started = config.get("init_lora_weights", True)
    if not isinstance(started, bool) and started not in ("gaussian", "orthogonal", None):
        raise ModelError(f"{told}, begun as {started!r:.40}, which changes the base too", HINT)
    if not isinstance(base, str) or not base:
        raise ModelError(told, "Write the folder of its base into adapter_config.json (base_model_name_or_path).")
    return base


def merge(adapter: Path, base: Path, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Write the merged model into `folder` (exists, not yet in use); progress(bytes written, bytes in all).

    The tokenizer is the adapter's if it has one, else that of the base. Raises ModelError, OSError if the disk fails.
    """
    checkpoint = validate.check(base)
    config = files.read_json(adapter / CONFIG)
    if checkpoint.block:
        raise ModelError(f"{adapter} cannot be merged into {base}, which is in FP8", "Use the base in BF16.")
    by_name = {stored.name: stored for stored in checkpoint.tensors.values()}
    pairs = _pairs(adapter)
    for name, pair in pairs.items():
        _check(adapter, name, pair, by_name.get(name), bool(config.get("fan_in_fan_out")))
    shapes = {name: stored.shape for name, stored in by_name.items()}

    def chunks(name: str) -> fp32_file.Chunks:
        weight = numbers(by_name[name])
        if name in pairs:
            change = numbers(pairs[name].b) @ numbers(pairs[name].a)
            weight = weight + np.float32(_scale(config, name, pairs[name])) * (
                change.T if config.get("fan_in_fan_out") else change
            )
        yield np.ascontiguousarray(weight, np.float32)

    fp32_file.write(folder / "model.safetensors", shapes, chunks, progress)
    _copy_files(adapter, base, folder)


def _pairs(adapter: Path) -> dict[str, Pair]:
    """By the name of the tensor in the base, what changes it."""
    found: dict[str, dict[str, Stored]] = {}
    for name, stored in validate.read_tensors(adapter / WEIGHTS).items():
        bare = name.removeprefix(PREFIX).replace(".default.weight", ".weight")
        matrix = next((m for m in MATRICES if bare.endswith("." + m)), None)
        if matrix is None or not name.startswith(PREFIX) or len(stored.shape) != 2 or stored.dtype == FP8:
            raise ModelError(f"{adapter} has the tensor {name!r}, which is not merged here", HINT)
        found.setdefault(bare.removesuffix(matrix) + "weight", {})[matrix] = stored
    for name, matrices in found.items():
        if len(matrices) != len(MATRICES):
            raise ModelError(f"{adapter} has only one of the two matrices for {name}", HINT)
    return {name: Pair(*(matrices[m] for m in MATRICES)) for name, matrices in found.items()}


def _check(adapter: Path, name: str, pair: Pair, weight: Stored | None, turned: bool) -> None:
    if weight is None:
        raise ModelError(f"{adapter} changes {name}, which its base does not have", "Give the base it was made for.")
    made = (pair.b.shape[0], pair.a.shape[1])
    if weight.shape != (made[::-1] if turned else made) or pair.a.shape[0] != pair.b.shape[1]:
        raise ModelError(
            f"{adapter} changes {name} by a matrix of {made}, its base has {weight.shape}",
            "Give the base it was made for.",
        )
    for stored in pair:
        if stored.bytes != math.prod(stored.shape) * READ.get(stored.dtype, -1):
            raise ModelError(f"{stored.path} has {stored.bytes:,} bytes of {stored.dtype} for {stored.name}", HINT)


def _scale(config: Mapping[str, Any], name: str, pair: Pair) -> float:
    rank = pair.a.shape[0]
    pattern = config.get("alpha_pattern") or {}
    module = name.removesuffix(".weight")
    alpha = next((v for key, v in pattern.items() if module == key or module.endswith(f".{key}")), None)
    alpha = config.get("lora_alpha", 8) if alpha is None else alpha
    try:
        alpha = number(alpha, "lora_alpha")
    except ValueError as error:
        raise ModelError(f"the adapter has {error}", HINT) from None
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def numbers(stored: Stored) -> npt.NDArray[np.float32]:
    """A tensor of a safetensors file in fp32."""
    with stored.path.open("rb") as handle:
        handle.seek(stored.start)
        data = handle.read(stored.bytes)
    if stored.dtype == "BF16":
        # the upper half of an fp32 number
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(data, "<f4" if stored.dtype == "F32" else "<f2").astype(np.float32)
    return values.reshape(stored.shape)


def _copy_files(adapter: Path, base: Path, folder: Path) -> None:
    source = adapter if (adapter / "tokenizer.json").is_file() else base
    copied = [base / "config.json", base / "generation_config.json", *(source / name for name in TOKENIZER_FILES)]
    for path in copied:
        if path.is_file():
            files.check(path)
            shutil.copyfile(path, folder / path.name)
