"""Published widths of real models, from the config.json of each release, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from llm_holes.lessons.shared.architectures import ARCHITECTURES


@dataclass(frozen=True, slots=True)
class Width:
    d_model: int
    d_mlp: int
    vocabulary: int
    tied: bool = False


WIDTHS = {
    "SmolLM2-1.7B": Width(2048, 8192, 49152, tied=True),
    "Llama-2-7B": Width(4096, 11008, 32000),
    "Mistral-7B": Width(4096, 14336, 32000),
    "Llama-3-8B": Width(4096, 14336, 128256),
    "Qwen3-8B": Width(4096, 12288, 151936),
    "Llama-3-70B": Width(8192, 28672, 128256),
    "Llama-3.1-405B": Width(16384, 53248, 128256),
}


def costs() -> list[tuple[str, int, int, int, int]]:
    """Of each model: name, width, layers, weights in the matrices of one layer, and in all matrices."""
    found = []
    for a in ARCHITECTURES:
        if width := WIDTHS.get(a.name):
            layer = width.d_model * (2 * (a.n_heads + a.n_kv_heads) * a.d_head + 3 * width.d_mlp)
            tables = width.vocabulary * width.d_model * (1 if width.tied else 2)
            found.append((a.name, width.d_model, a.layers, layer, a.layers * layer + tables))
    return found
