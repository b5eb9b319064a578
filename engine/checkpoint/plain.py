"""A model folder as another library may see it: without anything that could make it fetch or run code. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm_holes.engine.disk import files
from llm_holes.engine.scratch import scratch_folder

REWRITTEN = {"config.json", "tokenizer_config.json", "generation_config.json"}
LINKED = {
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "model.safetensors.index.json",
}


@contextmanager
def plain(folder: Path) -> Iterator[Path]:
    """A temporary folder with links to the weights and the tokenizer's files, and with JSON that names no code."""
    with scratch_folder() as there:
        for path in folder.iterdir():
            if path.name in REWRITTEN:
                value = files.read_json(path)
                (there / path.name).write_text(json.dumps(without_code(value)), encoding="utf-8")
            elif path.name in LINKED or path.suffix == ".safetensors":
                (there / path.name).symlink_to(path.absolute())
        yield there


def without_code(value: Any) -> Any:
    """The value without the keys, at any depth, that name code or a kernel to be fetched."""
    if isinstance(value, dict):
        return {key: without_code(item) for key, item in value.items() if not _names_code(key)}
    return [without_code(item) for item in value] if isinstance(value, list) else value


def _names_code(key: str) -> bool:
    return key in ("auto_map", "custom_generate") or key.lstrip("_").startswith("attn_implementation")
