"""Where a model's weights are: the parameter tree, by component and by matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from llm_holes.engine.surgery.ablations import MATRICES

Component = Literal["embedding", "attention", "ffn", "norms"]
COMPONENTS: tuple[Component, ...] = ("embedding", "attention", "ffn", "norms")
FINAL_NORM = "model.norm"
TABLE = "model.embed_tokens"
KINDS = (TABLE, *MATRICES, "input_layernorm", "post_attention_layernorm", FINAL_NORM)


@dataclass(frozen=True, slots=True)
class Kind:
    """Weights that each layer has one of, or the model, as `count` tensors of one `shape`."""

    component: Component
    name: str
    shape: tuple[int, ...]
    count: int
    parameters: int


def component(name: str) -> Component:
    """Where the weight of this Hugging Face name belongs; an output table is an embedding table."""
    if "norm" in name:
        return "norms"
    if "self_attn." in name:
        return "attention"
    return "ffn" if "mlp." in name else "embedding"


def tree(weights: Mapping[str, Tensor]) -> list[Kind]:
    """All weights, by component and then by kind, in the order of the model."""
    kinds: dict[str, Kind] = {}
    for name, w in weights.items():
        key = kind(name)
        old = kinds.get(key)
        count, parameters = (old.count, old.parameters) if old else (0, 0)
        kinds[key] = Kind(component(name), key, tuple(w.shape), count + 1, parameters + w.numel())
    order = {name: place for place, name in enumerate(KINDS)}
    return sorted(
        kinds.values(),
        key=lambda k: (COMPONENTS.index(k.component), order.get(k.name.removesuffix(".weight"), 99), k.name),
    )


def kind(name: str) -> str:
    """A weight's name without its layer: `model.layers.3.mlp.up_proj.weight` is of the kind `mlp.up_proj.weight`."""
    parts = name.split(".")
    return ".".join(parts[3:]) if parts[:2] == ["model", "layers"] else name


def layer_of(name: str) -> int | None:
    """The layer that a weight belongs to; None for one of no layer."""
    parts = name.split(".")
    return int(parts[2]) if parts[:2] == ["model", "layers"] else None


def full_name(kind_name: str, layer: int) -> str:
    """The weight of this kind in this layer, where kinds are named as in `KINDS`."""
    return f"{kind_name}.weight" if kind_name.startswith("model.") else f"model.layers.{layer}.{kind_name}.weight"


def totals(weights: Mapping[str, Tensor]) -> dict[Component, int]:
    """Parameters of each component; together they are all of the model's."""
    found = dict.fromkeys(COMPONENTS, 0)
    for name, w in weights.items():
        found[component(name)] += w.numel()
    return found
