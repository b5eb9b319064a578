"""What a fresh interpreter loads: a static graph cannot see a deferred import being taken."""

from __future__ import annotations

import subprocess
import sys

MODEL_LIBRARIES = {"torch", "transformers", "tiktoken", "safetensors", "tokenizers"}
DRAWING_LIBRARIES = {"textual", "rich"}
SLOW_ON_THE_WAY_TO_THE_FIRST_PAINT = {"numpy", "huggingface_hub", "gguf"}


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
