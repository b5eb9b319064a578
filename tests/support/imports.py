"""What a fresh interpreter loads: a static graph cannot see a deferred import being taken."""

from __future__ import annotations

import subprocess
import sys

MODEL_LIBRARIES = {"torch", "numba", "transformers", "tiktoken", "safetensors", "tokenizers"}
DRAWING_LIBRARIES = {"textual", "rich"}
SLOW_ON_THE_WAY_TO_THE_FIRST_PAINT = {"numpy", "huggingface_hub", "gguf"}
NOT_ON_THE_FIRST_SCREEN = {
    "argparse",
    "markdown_it",
    "llm_holes.engine.model.config",
    "llm_holes.lessons.learner.learner",
    "llm_holes.tui.screens.help",
    "llm_holes.tui.views.heatmap",
    "llm_holes.tui.views.widgets",
    "llm_holes.tui.widgets.page",
    "textual.widgets._text_area",
}


def loaded_by(statement: str) -> set[str]:
    """The modules, and the packages they are in."""
    code = f"import sys; {statement}; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name for module in told.split() for name in (module, module.partition(".")[0])}
