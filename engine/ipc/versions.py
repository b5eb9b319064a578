"""Which versions are installed, for the protocol's greeting, `doctor` and a run's record. Torch-free."""

from __future__ import annotations

import platform
from importlib import metadata

LIBRARIES = ("llm-holes", "torch", "transformers", "tokenizers", "tiktoken", "safetensors", "numpy", "msgspec")


def versions() -> dict[str, str]:
    """The version of Python and of each library that matters, without importing any."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
