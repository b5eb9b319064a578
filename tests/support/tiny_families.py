"""A tiny random model of a family as a folder that transformers saved, with a tokenizer beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from tests.support import tiny_gguf
from tests.support.tiny_models import reference

FAMILIES = (
    "llama-rope3",
    "smollm3",
    "olmo2",
    "granite",
    "phi3",
    "gemma2-window",
    "gemma3-window",
    "neox",
    "gpt2",
    "mixtral",
    "qwen3moe",
)
"""One variant of each family that is not Llama's near kin."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def write_family(folder: Path, variant: str, n_ctx: int = 128, shard: str = "1GB", **more: Any) -> Path:
    """The variant with a vocabulary of bytes, in files no larger than `shard`; `more` are keys of its config, and
    `dtype` is the type it is saved in."""
    dtype = more.pop("dtype", torch.float32)
    tiny_gguf.write_folder(folder)
    (folder / "model.safetensors").unlink()
    told = folder / "tokenizer_config.json"
    # its bytes are no family's own tokenizer
    told.write_text(json.dumps({**json.loads(told.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}))
    sizes = {"vocab_size": len(tiny_gguf.vocabulary()), "bos_token_id": 1, "eos_token_id": 2}
    context = "n_positions" if variant.startswith("gpt2") else "max_position_embeddings"
    model = reference(variant, **{**sizes, context: n_ctx, **more})
    model.to(dtype).save_pretrained(folder, max_shard_size=shard)
    return folder


def with_tokenizer(folder: Path, other: Path, names: Iterable[str] = TOKENIZER) -> Path:
    """The folder with the tokenizer of another."""
    for name in names:
        if (other / name).exists():
            shutil.copy(other / name, folder / name)
    return folder


def loaded(folder: Path) -> Engine:
    return Engine.load(store.locate(str(folder), lambda status: None), 1)
