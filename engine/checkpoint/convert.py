"""A GGUF file as the Hugging Face folder it came from: config.json, tokenizer files and fp32 model.safetensors.
Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from llm_holes.engine.checkpoint import fp32_file, gguf
from llm_holes.engine.checkpoint.download import check_space
from llm_holes.engine.checkpoint.finite import SPECIAL, finite_bits, special
from llm_holes.engine.checkpoint.gguf_config import config_of, unsupported
from llm_holes.engine.checkpoint.gguf_tokenizer import write_tokenizer
from llm_holes.engine.checkpoint.gguf_weights import Place, chunks, places
from llm_holes.engine.checkpoint.room import FP32, refuse_hopeless
from llm_holes.engine.model.config import Config, from_hugging_face


def convert(source: Path, folder: Path, progress: Callable[[int, int], None]) -> None:
    """Write the converted files into `folder` (exists, not yet in use); progress(bytes written, bytes in all).

    Raises ModelError for a file it does not understand, OSError when writing fails.
    """
    file = gguf.read(source)
    raw, config, found = check(file)
    check_space(folder, FP32 * _numbers(file))
    write_tokenizer(file, folder)
    (folder / "config.json").write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
    _write_weights(file, config, found, folder / "model.safetensors", progress)


def check(file: gguf.File) -> tuple[dict[str, Any], Config, dict[str, Place]]:
    """The config, as it is written and as it is read, and where the file has each tensor of the checkpoint. Raises
    ModelError for what is not read."""
    raw = config_of(file)
    try:
        config = from_hugging_face(raw)
    except (LookupError, TypeError, ValueError, ArithmeticError, msgspec.MsgspecError) as error:
        raise unsupported(file, str(error)) from None
    found = places(file, config)
    refuse_hopeless(_numbers(file))
    return raw, config, found


def _numbers(file: gguf.File) -> int:
    return sum(math.prod(tensor.shape) for tensor in file.tensors.values())


def _write_weights(
    file: gguf.File,
    config: Config,
    found: Mapping[str, Place],
    target: Path,
    progress: Callable[[int, int], None],
) -> None:
    def checked(name: str) -> fp32_file.Chunks:
        place = found[name]
        for chunk in chunks(file, config, name, place):
            if not finite_bits(chunk.view(np.uint32), SPECIAL["F32"][1]):
                raise special(file.parts[file.tensors[place.name].part], place.name)
            yield chunk

    shapes = {name: place.shape for name, place in found.items()}
    fp32_file.write(target, shapes, checked, progress)
