"""How a family's checkpoint stores what the decoder reads: under which name, joined with what, turned which way.

The decoder has one name for each of its tensors, those of Llama's checkpoints; two norms that Llama does not have are
called as GLM-4 calls them. Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from llm_holes.engine.model.config import Config
from llm_holes.engine.model.families import ATTENTION, MLP, QKV

Shape = tuple[int, ...]
TABLE, HEAD, PLACES = "model.embed_tokens.weight", "lm_head.weight", "model.embed_positions.weight"


class Layout(msgspec.Struct, frozen=True):
    """A family's own way. `names` are its names for parts of a layer (`self_attn.q_proj`) or of the body (`norm`);
    `joined` are parts that lie in one tensor, in this order, one after another or, `by_head`, head after head;
    `transposed` are tensors stored [in, out]. `experts` are matrices of which each expert's neurons lie in a tensor of
    their own. A norm's gains are stored less `gain_offset`."""

    body: str = "model"
    layers: str = "layers"
    names: Mapping[str, str] = {}
    joined: Mapping[str, str] = {}
    by_head: bool = False
    experts: Mapping[str, str] = {}
    gain_offset: float = 0.0
    transposed: frozenset[str] = frozenset()


POST = {
    "post_self_attn_layernorm": "post_attention_layernorm",
    "post_mlp_layernorm": "post_feedforward_layernorm",
}
GEMMA = Layout(names={**POST, "post_attention_layernorm": "pre_feedforward_layernorm"}, gain_offset=1.0)
LAYOUTS: Mapping[str, Layout] = {
    "olmo2": Layout(names=POST),
    "phi3": Layout(
        joined={
            **dict.fromkeys(QKV, "self_attn.qkv_proj"),
            **dict.fromkeys(("mlp.gate_proj", "mlp.up_proj"), "mlp.gate_up_proj"),
        }
    ),
    "gemma2": GEMMA,
    "gemma3_text": GEMMA,
    "gpt_neox": Layout(
        body="gpt_neox",
        names={
            "embed_tokens": "embed_in",
            "norm": "final_layer_norm",
            "lm_head": "embed_out",
            "self_attn.o_proj": "attention.dense",
            "mlp.up_proj": "mlp.dense_h_to_4h",
            "mlp.down_proj": "mlp.dense_4h_to_h",
        },
        joined=dict.fromkeys(QKV, "attention.query_key_value"),
        by_head=True,
    ),
    "gpt2": Layout(
        body="transformer",
        layers="h",
        names={
            "embed_tokens": "wte",
            "embed_positions": "wpe",
            "norm": "ln_f",
            "input_layernorm": "ln_1",
            "post_attention_layernorm": "ln_2",
            "self_attn.o_proj": "attn.c_proj",
            "mlp.up_proj": "mlp.c_fc",
            "mlp.down_proj": "mlp.c_proj",
        },
        joined=dict.fromkeys(QKV, "attn.c_attn"),
        transposed=frozenset({"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"}),
    ),
    "mixtral": Layout(
        names={"mlp.router": "block_sparse_moe.gate"},
        experts={
            "mlp.gate_proj": "block_sparse_moe.experts.{}.w1",
            "mlp.up_proj": "block_sparse_moe.experts.{}.w3",
            "mlp.down_proj": "block_sparse_moe.experts.{}.w2",
        },
    ),
    "qwen3_moe": Layout(
        names={"mlp.router": "mlp.gate"},
        experts={part: part.replace("mlp.", "mlp.experts.{}.") for part in MLP},
    ),
}


class Source(NamedTuple):
    """Where a tensor of the decoder is: in the one of this name and shape, from row `first` on, so many `rows`; with
    several `names`, in tensors of this shape, one for each expert."""

    names: tuple[str, ...]
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
    if config.learned_places:
        found[PLACES] = (config.n_ctx, d)
    if not config.tied_embeddings:
        found[HEAD] = found[TABLE]
    for index in range(config.n_layers):
        found |= {f"model.layers.{index}.{name}": shape for name, shape in layer.items()}
    return found


def _layer_shapes(config: Config) -> dict[str, Shape]:
    q, kv, d, mlp = config.n_heads * config.d_head, config.n_kv_heads * config.d_head, config.d_model, config.d_mlp
    sizes = ((q, d), (kv, d), (kv, d), (d, q), (mlp, d), (mlp, d), (d, mlp))
    matrices: dict[str, Shape] = dict(zip((*ATTENTION, *MLP), sizes, strict=True))
    if not config.gated:
        del matrices["mlp.gate_proj"]
    if config.router:
        matrices["mlp.router"] = (config.router.experts, d)
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
    return {name: _source(config, way, name, wanted) for name in wanted}


def stored_name(config: Config, name: str) -> str:
    """The checkpoint's name of a tensor that is not joined with another, whether it is there or not."""
    place, part, kind = _split(name)
    way = layout(config)
    return f"{_place(way, place)}{way.names.get(part, part)}.{kind}"


def _source(config: Config, way: Layout, name: str, wanted: Mapping[str, Shape]) -> Source:
    place, part, kind = _split(name)
    if part in way.experts and config.router:
        experts = config.router.experts
        shape = tuple(size // experts if size == config.d_mlp else size for size in wanted[name])
        names = (f"{_place(way, place)}{way.experts[part].format(n)}.{kind}" for n in range(experts))
        return Source(tuple(names), shape, 0, shape[0], transposed=False)
    together = [mate for mate, joint in way.joined.items() if joint == way.joined.get(part)] or [part]
    rows = [wanted[f"{place}{mate}.{kind}"][0] for mate in together]
    before = together.index(part)
    stored = way.joined.get(part) or way.names.get(part, part)
    shape = (sum(rows), *wanted[name][1:])
    transposed = kind == "weight" and stored in way.transposed
    return Source(
        (f"{_place(way, place)}{stored}.{kind}",),
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
