"""The decoder: one readable forward pass for all families of `families.py`, which differ by their config and by which
weights they have.

Shapes are [batch, pos, …]; activations carry TransformerLens' names (`blocks.3.attn.hook_pattern`), so a learner meets
the same addresses in papers. At each named point `at` applies the surgery's hooks and records what was asked for.

Sources: Vaswani et al. 2017 (attention), Su et al. 2021 (RoPE), Zhang & Sennrich 2019 (RMSNorm), Shazeer 2020 (SwiGLU),
Ainslie et al. 2023 (grouped-query attention).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.model.cache import KVCache
from llm_holes.engine.model.config import Act, Config
from llm_holes.engine.model.hook_names import unknown
from llm_holes.engine.model.norm import rms_norm
from llm_holes.engine.model.packed import Bf16Weight, PackedWeight
from llm_holes.engine.model.product import product
from llm_holes.engine.model.rope import Rope
from llm_holes.engine.model.stretches import in_stretches
from llm_holes.engine.work import LAYER, Tell, Work, untold

Hook = Callable[[Tensor], Tensor]
ActFn = Callable[[Tensor], Tensor]
At = Callable[[str, Tensor], Tensor]
AttentionFn = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Another way from q [batch, head, query, d_head] and k, v [batch, kv_head, key, d_head] to z, shaped like q. Queries
are the last of the keys' positions."""
Acts = dict[str, npt.NDArray[Any]]

ACT_FNS: Mapping[Act, ActFn] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Output:
    """`logits` [batch, pos, d_vocab] (the last positions only, if so asked) and the tapped activations by name."""

    logits: Tensor
    acts: Acts


@dataclass(frozen=True)
class Decoder:
    """A model is its config and its weights by Hugging Face name.

    `packed` holds matrices stored in fewer bits, `hooks` change activations at named points, `attention_fns` replace
    scores, softmax and sum of a layer's attention (it then has no window, no cap, no scores or pattern to tap or hook),
    `act_fns` stand for the nonlinearity of a layer's FFN, `is_cancelled` is polled once per layer, which
    `tell` is told. Nothing is ever written into a weight: a changed model is a new Decoder over other weights.
    """

    config: Config
    weights: Mapping[str, Tensor]
    packed: Mapping[str, PackedWeight] = field(default_factory=dict)
    hooks: Mapping[str, tuple[Hook, ...]] = field(default_factory=dict)
    attention_fns: Mapping[int, AttentionFn] = field(default_factory=dict)
    act_fns: Mapping[int, ActFn] = field(default_factory=dict)
    is_cancelled: Callable[[], bool] = never
    tell: Tell = untold

    def cancellable(self, is_cancelled: Callable[[], bool], tell: Tell = untold) -> Decoder:
        """This model, whose passes raise Cancelled within one layer of `is_cancelled()` turning true, and tell which
        layer that is."""
        return replace(self, is_cancelled=is_cancelled, tell=tell)

    def reached(self, work: Work) -> None:
        """Tells what comes now. Raises Cancelled where that is not wanted any more."""
        if self.is_cancelled():
            raise Cancelled
        self.tell(work)

    def up_to(self, layer: int) -> Decoder:
        """The model of the layers up to and with `layer`: a pass that stops there, for those who tap no later one."""
        return replace(self, config=msgspec.structs.replace(self.config, n_layers=layer + 1))

    @torch.no_grad()
    def forward(
        self,
        ids: Tensor,
        cache: KVCache | None = None,
        taps: Collection[str] = (),
        logits_to_keep: int | None = None,
    ) -> Output:
        """One pass over `ids` [batch, pos], continuing after what `cache` holds.

        Raises Cancelled within one layer of `is_cancelled()` turning true, ValueError for a tap that does not exist.
        """
        if wrong := unknown(taps, self.config.n_layers):
            raise ValueError(f"no such tap: {wrong}")
        acts: Acts = {}

        def at(name: str, x: Tensor) -> Tensor:
            x = self.at(name, x)
            if name in taps:
                acts[name] = np.array(x.float().cpu().numpy())
            return x

        start = cache.length if cache is not None else 0
        x = self.run_layers(self.embed(ids, at, start), cache=cache, at=at, taps=taps)
        if cache is not None:
            cache.advance(ids.shape[1])
        if logits_to_keep is not None:
            x = x[:, -logits_to_keep:]
        return Output(self.unembed(x, at), acts)

    def at(self, name: str, x: Tensor) -> Tensor:
        """The activation x as the hooks at the point `name` change it."""
        for hook in self.hooks.get(name, ()):
            x = hook(x)
        return x

    def embed(self, ids: Tensor, at: At | None = None, start: int = 0) -> Tensor:
        """A row of the embedding table for each of `ids` [batch, pos], and in a model that learned its places a row for
        each place from `start` on: [batch, pos, d_model]."""
        table = self.packed.get("model.embed_tokens")
        if isinstance(table, Bf16Weight):
            rows = table.rows(ids)
        else:
            rows = F.embedding(ids, self.weights["model.embed_tokens.weight"])
        x = rows * self.config.embedding_scale
        places = self.weights.get("model.embed_positions.weight")
        if places is not None:
            x = x + places[start : start + ids.shape[1]]
        return (at or self.at)("hook_embed", x)

    def run_layers(
        self,
        x: Tensor,
        first: int = 0,
        end: int | None = None,
        cache: KVCache | None = None,
        at: At | None = None,
        taps: Collection[str] = (),
    ) -> Tensor:
        """The residual stream [batch, pos, d_model] after the layers from `first` to before `end` (None: to the last).

        Its positions follow those in `cache`, which is not advanced here. Raises Cancelled.
        """
        past = cache.length if cache is not None else 0
        rotations = {rope: rotary(rope, past, past + x.shape[1]) for rope in set(self.config.ropes)}
        for layer in range(first, self.config.n_layers if end is None else end):
            self.reached(Work(LAYER, layer + 1, self.config.n_layers, x.shape[0] * x.shape[1]))
            x = self.block(layer, x, rotations[self.config.ropes[layer]], cache, at or self.at, taps)
        return x

    def unembed(self, x: Tensor, at: At | None = None) -> Tensor:
        """Final norm of x [..., d_model], then one dot product with each row of the output table: logits
        [..., d_vocab]. Raises Cancelled."""
        config = self.config
        x = (at or self.at)("ln_final.hook_normalized", self.norm(x, "model.norm"))
        table = "model.embed_tokens" if config.tied_embeddings else "lm_head"
        logits = in_stretches(partial(self.linear, name=table), x * config.logit_scale, self.reached)
        return capped(logits, config.logit_softcap)

    def block(
        self, layer: int, x: Tensor, rotation: Rotation, cache: KVCache | None, at: At, taps: Collection[str]
    ) -> Tensor:
        """One layer, from residual stream [batch, pos, d_model] to residual stream: attention and FFN each read the
        normed stream and add their result to it, in some families normed too."""
        hook, name, scale = f"blocks.{layer}.", f"model.layers.{layer}.", self.config.update_scale
        x = at(f"{hook}hook_resid_pre", x)
        normed = at(f"{hook}ln1.hook_normalized", self.norm(x, f"{name}input_layernorm"))
        update = self.norm(self.attention(layer, normed, rotation, cache, at, taps), f"{name}post_self_attn_layernorm")
        mid = at(f"{hook}hook_resid_mid", x + at(f"{hook}hook_attn_out", times(update, scale)))
        read = x if self.config.parallel else mid
        normed = at(f"{hook}ln2.hook_normalized", self.norm(read, f"{name}post_attention_layernorm"))
        made = self.experts(layer, normed) if self.skips(layer, taps) else self.ffn(layer, normed, at)
        update = self.norm(made, f"{name}post_mlp_layernorm")
        return at(f"{hook}hook_resid_post", mid + at(f"{hook}hook_mlp_out", times(update, scale)))

    def attention(
        self, layer: int, x: Tensor, rotation: Rotation, cache: KVCache | None, at: At, taps: Collection[str]
    ) -> Tensor:
        """Each position of x [batch, pos, d_model] asks with q, offers k and carries v; only here do positions exchange
        anything. What they bring home, [batch, pos, d_model], is to be added to the stream."""
        config, hook, name = self.config, f"blocks.{layer}.attn.hook_", f"model.layers.{layer}.self_attn."
        q = at(f"{hook}q", times(self.heads(x, f"{name}q", config.n_heads), config.query_scale))
        k = at(f"{hook}k", self.heads(x, f"{name}k", config.n_kv_heads))
        v = at(f"{hook}v", self.heads(x, f"{name}v", config.n_kv_heads))
        q = at(f"{hook}rot_q", rotate(q, rotation)).transpose(1, 2)
        k = at(f"{hook}rot_k", rotate(k, rotation)).transpose(1, 2)
        v = v.transpose(1, 2)
        if cache is not None:
            k, v = cache.append(layer, k, v, q)
        if layer in self.attention_fns:
            z = self.attention_fns[layer](q, k, v)
        elif config.attn_softcap or any(p in taps or p in self.hooks for p in (f"{hook}attn_scores", f"{hook}pattern")):
            z = explicit_attention(q, k, v, config, at, hook, config.windows[layer])
        else:
            z = fused_attention(q, k, v, config.windows[layer])
        z = at(f"{hook}z", z.transpose(1, 2))
        return self.linear(z.flatten(2), f"{name}o_proj")

    def heads(self, x: Tensor, name: str, count: int) -> Tensor:
        """Projects the whole vector for each head, [batch, pos, d_model] to [batch, pos, head, d_head], and norms each
        head, or all of them as one vector, where the model has a norm for it."""
        y, shape = self.linear(x, f"{name}_proj"), (*x.shape[:-1], count, self.config.d_head)
        if self.config.qk_norm == "all heads":
            return self.norm(y, f"{name}_norm").view(shape)
        return self.norm(y.view(shape), f"{name}_norm")

    def ffn(self, layer: int, x: Tensor, at: At) -> Tensor:
        """The FFN of x [..., d_model], each position on its own: down(act(gate(x)) · up(x)), or down(act(up(x))) in
        families without a gate; d_mlp wide inside, d_model again outside."""
        hook, name = f"blocks.{layer}.mlp.hook_", f"model.layers.{layer}.mlp."
        act_fn = self.act_fns.get(layer, ACT_FNS[self.config.act])
        gate = at(f"{hook}pre", self.linear(x, f"{name}{'gate' if self.config.gated else 'up'}_proj"))
        up = at(f"{hook}pre_linear", self.linear(x, f"{name}up_proj") if self.config.gated else torch.ones_like(gate))
        values = act_fn(gate) * up
        if self.config.router:
            values = values * self.shares(x, f"{name}router")
        return self.linear(at(f"{hook}post", values), f"{name}down_proj")

    def skips(self, layer: int, taps: Collection[str]) -> bool:
        """Whether the FFN is several experts, and nobody looks into it or has changed how it is computed."""
        points = (f"blocks.{layer}.mlp.hook_{point}" for point in ("pre", "pre_linear", "post"))
        own = layer in self.act_fns or f"model.layers.{layer}.mlp.down_proj" in self.packed
        return self.config.router is not None and not own and not any(p in taps or p in self.hooks for p in points)

    def experts(self, layer: int, x: Tensor) -> Tensor:
        """The same as `ffn`, with each expert given the positions of x [..., d_model] that chose it: of what nobody
        chose nothing is read or computed."""
        name, y = f"model.layers.{layer}.mlp.", torch.zeros_like(x)
        gate, up, down = (self.weights[f"{name}{part}_proj.weight"] for part in ("gate", "up", "down"))
        shares = self.by_expert(x, f"{name}router")
        for expert in shares.flatten(0, -2).any(0).nonzero().flatten().tolist():
            at, width = shares[..., expert] != 0, len(gate) // shares.shape[-1]
            own = slice(expert * width, (expert + 1) * width)
            values = ACT_FNS[self.config.act](F.linear(x[at], gate[own])) * F.linear(x[at], up[own])
            y[at] += shares[at][:, expert, None] * F.linear(values, down[:, own])
        return y

    def by_expert(self, x: Tensor, name: str) -> Tensor:
        """The shares of all experts in the update at each position of x [..., d_model]: [..., experts]. The router
        `name` chooses a few, and the others have none (Shazeer et al. 2017)."""
        router = self.config.router
        assert router is not None
        best = self.linear(x, name).softmax(-1).topk(router.chosen)
        parts = best.values / best.values.sum(-1, keepdim=True) if router.renormalized else best.values
        return x.new_zeros(*x.shape[:-1], router.experts).scatter(-1, best.indices, parts)

    def shares(self, x: Tensor, name: str) -> Tensor:
        """The same for neurons, of which an expert is a block: [..., d_mlp]."""
        shares = self.by_expert(x, name)
        return shares.repeat_interleave(self.config.d_mlp // shares.shape[-1], -1)

    def norm(self, x: Tensor, name: str) -> Tensor:
        """RMSNorm over the last dimension of x [..., d]: x / rms(x) · gain, where the gain is the weight of `name` [d];
        LayerNorm in older families; x itself where the model has no such norm."""
        gain = self.weights.get(f"{name}.weight")
        if gain is None:
            return x
        if self.config.norm == "layer":
            return F.layer_norm(x, x.shape[-1:], gain, self.weights[f"{name}.bias"], self.config.norm_eps)
        return rms_norm(x, gain, self.config.norm_eps)

    def linear(self, x: Tensor, name: str) -> Tensor:
        """x [..., in] through the matrix `name` [out, in]: [..., out]."""
        packed, bias = self.packed.get(name), self.weights.get(f"{name}.bias")
        if packed is None:
            return product(x, self.weights[f"{name}.weight"], bias)
        y = packed(x)
        return y if bias is None else y + bias


@dataclass(frozen=True, slots=True)
class Rotation:
    """cos and sin of the position angles, [pos, 1, dims], for all heads; `sin` is negative where the left number of a
    pair takes from the right one."""

    cos: Tensor
    sin: Tensor


def rotary(rope: Rope, start: int, end: int) -> Rotation:
    """RoPE angles for positions start … end-1: pair i of a head turns by position / theta^(2i/dims)."""
    frequency = scaled(rope, inverse_frequencies(rope))
    angles = torch.arange(start, end).float()[:, None, None] * frequency
    cos, sin = angles.cos(), angles.sin()
    return Rotation(torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1))


def inverse_frequencies(rope: Rope) -> Tensor:
    """Radians that each pair of the rotated dimensions turns per position, [dims / 2]: 1 / theta^(2i/dims)."""
    return 1.0 / rope.rope_theta ** (torch.arange(0, rope.dims, 2).float() / rope.dims)


def scaled(rope: Rope, frequency: Tensor) -> Tensor:
    """Stretches the rotation for longer contexts: all of it (linear) or only its slow part (Llama 3.1)."""
    if rope.rope_type == "linear":
        return frequency / rope.factor
    if rope.rope_type == "llama3":
        turns = rope.original_max_position_embeddings * frequency / (2 * math.pi)
        blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
        blend = blend.clamp(0, 1)
        return blend * frequency + (1 - blend) * frequency / rope.factor
    return frequency


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turns the pairs (i, i + dims/2) of the first `dims` numbers of each head of x [batch, pos, head, d_head] by the
    position's angles; the other numbers say nothing of places."""
    dims = rotation.cos.shape[-1]
    if dims < x.shape[-1]:
        return torch.cat((rotate(x[..., :dims], rotation), x[..., dims:]), dim=-1)
    others = x.roll(dims // 2, dims=-1)  # of each pair
    return x * rotation.cos + others * rotation.sin


def times(x: Tensor, scale: float) -> Tensor:
    """x · scale; x itself in the many families that scale nothing."""
    return x if scale == 1 else x * scale


def capped(x: Tensor, cap: float | None) -> Tensor:
    """x bent so that nothing in it is larger than `cap` (Gemma 2); x itself without one."""
    return x if cap is None else cap * (x / cap).tanh()


def causal_mask(queries: int, keys: int, window: int | None = None) -> Tensor:
    """True where the key may be seen, [queries, keys]: a query sees itself and what came before, or of these only the
    last `window`."""
    past = keys - queries
    seen = torch.ones(queries, keys, dtype=torch.bool).tril(past)
    return seen if window is None else seen.triu(past - window + 1)


def explicit_attention(
    q: Tensor, k: Tensor, v: Tensor, config: Config, at: At, hook: str, window: int | None = None
) -> Tensor:
    """Attention written out so that scores and pattern [batch, head, query, key] can be seen and changed."""
    k, v = k.repeat_interleave(config.kv_group, dim=1), v.repeat_interleave(config.kv_group, dim=1)
    scores = capped(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), config.attn_softcap)
    scores = scores.masked_fill(~causal_mask(q.shape[2], k.shape[2], window), -torch.inf)
    pattern = at(f"{hook}pattern", at(f"{hook}attn_scores", scores).softmax(-1))
    return pattern @ v


def fused_attention(q: Tensor, k: Tensor, v: Tensor, window: int | None = None) -> Tensor:
    """The same z [batch, head, query, d_head], from q of that shape and k, v [batch, kv_head, key, d_head], and the
    pattern is never stored (Dao et al. 2022). Queries are the last of the keys' positions."""
    queries = q.shape[2]
    if window is not None:  # no query sees what is farther back
        k, v = (x[:, :, -(window + queries - 1) :] for x in (k, v))
    if queries == 1:  # the heads that share keys ask them together, so that each is read once
        return F.scaled_dot_product_attention(q.reshape(*k.shape[:2], -1, k.shape[3]), k, v).reshape(*q.shape[:3], -1)
    keys = k.shape[2]
    whole = queries == keys and (window is None or keys <= window)
    mask = None if whole else causal_mask(queries, keys, window)
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=whole, enable_gqa=True)
