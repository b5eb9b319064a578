"""How a family's checkpoint stores what the decoder reads: under which name, joined with what, turned which way.

The decoder has one name for each of its tensors, those of Llama's checkpoints; two norms that Llama does not have are
called as GLM-4 calls them. Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from llm_holes.engine.model.config import Config
from llm_holes.engine.model.families import ATTENTION, MLP

Shape = tuple[int, ...]
TABLE, HEAD, PLACES = "model.embed_tokens.weight", "lm_head.weight", "model.embed_positions.weight"


class Layout(msgspec.Struct, frozen=True):
    """A family's own way. `names` are its names for parts of a layer (`self_attn.q_proj`) or of the body (`norm`);
    `joined` are parts that lie in one tensor, in this order, one after another or, `by_head`, head after head;
    `transposed` are tensors stored [in, out]."""

    body: str = "model"
    layers: str = "layers"
    names: Mapping[str, str] = {}
    joined: Mapping[str, str] = {}
    by_head: bool = False
    transposed: frozenset[str] = frozenset()


LAYOUTS: Mapping[str, Layout] = {
    "olmo2": Layout(
        names={
            "post_self_attn_layernorm": "post_attention_layernorm",
            "post_mlp_layernorm": "post_feedforward_layernorm",
        }
    ),
}


class Source(NamedTuple):
    """Where a tensor of the decoder is: in the one of this name and shape, from row `first` on, so many `rows`."""

    name: str
    shape: Shape
    first: int
    rows: int
    transposed: bool


def layout(config: Config) -> Layout:
    return LAYOUTS.get(config.family, Layout())


def shapes(config: Config) -> dict[str, Shape]:
    """The shape of every tensor that the decoder reads, by name."""
    d = config.d_model
    layer = _layer_shapes(config)
    found: dict[str, Shape] = {TABLE: (config.d_vocab, d)} | _norm("model.norm", d, config)
    if not config.tied_embeddings:
        found[HEAD] = found[TABLE]
    for index in range(config.n_layers):
        found |= {f"model.layers.{index}.{name}": shape for name, shape in layer.items()}
    return found


def _layer_shapes(config: Config) -> dict[str, Shape]:
    q, kv, d, mlp = config.n_heads * config.d_head, config.n_kv_heads * config.d_head, config.d_model, config.d_mlp
    sizes = ((q, d), (kv, d), (kv, d), (d, q), (mlp, d), (mlp, d), (d, mlp))
    matrices: dict[str, Shape] = dict(zip((*ATTENTION, *MLP), sizes, strict=True))
    layer: dict[str, Shape] = {f"{name}.weight": shape for name, shape in matrices.items()}
    layer |= {f"{name}.bias": matrices[name][:1] for name in config.biases}
    for name in config.norms:
        layer |= _norm(name, d, config)
    if config.qk_norm != "none":
        whole = config.qk_norm == "all heads"
        layer["self_attn.q_norm.weight"] = (q if whole else config.d_head,)
        layer["self_attn.k_norm.weight"] = (kv if whole else config.d_head,)
    return layer


def _norm(name: str, size: int, config: Config) -> dict[str, Shape]:
    kinds = ("weight", "bias") if config.norm == "layer" else ("weight",)
    return {f"{name}.{kind}": (size,) for kind in kinds}


def sources(config: Config) -> dict[str, Source]:
    """Where the checkpoint has each tensor that the decoder reads, by the decoder's name."""
    way, wanted = layout(config), shapes(config)
    return {name: _source(way, name, wanted) for name in wanted}


def stored_name(config: Config, name: str) -> str:
    """The checkpoint's name of a tensor that is not joined with another, whether it is there or not."""
    place, part, kind = _split(name)
    way = layout(config)
    return f"{_place(way, place)}{way.names.get(part, part)}.{kind}"


def _source(way: Layout, name: str, wanted: Mapping[str, Shape]) -> Source:
    place, part, kind = _split(name)
    together = [mate for mate, joint in way.joined.items() if joint == way.joined.get(part)] or [part]
    rows = [wanted[f"{place}{mate}.{kind}"][0] for mate in together]
    before = together.index(part)
    stored = way.joined.get(part) or way.names.get(part, part)
    shape = (sum(rows), *wanted[name][1:])
    transposed = kind == "weight" and stored in way.transposed
    return Source(
        f"{_place(way, place)}{stored}.{kind}",
        shape[::-1] if transposed else shape,
        sum(rows[:before]),
        rows[before],
        transposed,
    )


def _split(name: str) -> tuple[str, str, str]:
    """`model.layers.3.mlp.up_proj.weight` is `model.layers.3.`, `mlp.up_proj` and `weight`."""
    rest, _, kind = name.rpartition(".")
    words = rest.split(".")
    depth = 3 if words[:2] == ["model", "layers"] else len(words) - 1
    return "".join(f"{word}." for word in words[:depth]), ".".join(words[depth:]), kind


def _place(way: Layout, place: str) -> str:
    words = place.split(".")
    return ".".join([way.body, way.layers, *words[2:]]) if len(words) > 2 else f"{way.body}." if place else ""
