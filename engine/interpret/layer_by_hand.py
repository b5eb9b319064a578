"""One token's way through one layer, operation by operation, computed again from what the layer was given.

Only the stream, and for attention the keys and values of the earlier positions, are taken from the model; every number
after that is made here, from the weights, and compared with what the model made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.interpret.logit_lens import tapped
from llm_holes.engine.model.decoder import ACT_FNS, Decoder, capped, rotary, rotate
from llm_holes.engine.model.hook_names import PER_LAYER, tap
from llm_holes.engine.surgery.operations import weight

FLOAT = 4
ACT_NAMES = {"silu": "SiLU", "gelu": "GELU", "gelu_tanh": "GELU", "relu": "ReLU"}
NORM_FORMULAS = {"rms": "x / rms(x) · g", "layer": "(x - mean) / std · g + b"}
UNTAPPED = {"attn.hook_attn_scores", "attn.hook_pattern"}


@dataclass(frozen=True)
class Part:
    """One operation on one token: what it gives, the FLOPs it takes (a multiplication and an addition are two), the
    bytes it reads from weights or cache, and its largest difference from what the model had at `point`."""

    name: str
    formula: str
    given: tuple[int, ...]
    result: Tensor
    flops: int
    bytes: int
    point: str
    difference: float

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.result.shape)


@torch.no_grad()
def layer_by_hand(model: Decoder, ids: Sequence[int], layer: int, position: int) -> list[Part]:
    """The parts of `layer` for the token at `position`, in order. Raises Cancelled."""
    seen = list(ids[: position + 1])
    points = [point for point in PER_LAYER if point not in UNTAPPED]
    acts = tapped(model.up_to(layer), seen, {tap(layer, point) for point in points})
    recorded = {point: torch.as_tensor(acts[tap(layer, point)][0]) for point in points}
    return _Layer(model, layer, position, recorded).parts()


class _Layer:
    def __init__(self, model: Decoder, layer: int, position: int, recorded: dict[str, Tensor]) -> None:
        self.model, self.config, self.place = model, model.config, position
        self.layer, self.prefix = layer, f"model.layers.{layer}."
        self.recorded = recorded
        self.done: list[Part] = []

    def parts(self) -> list[Part]:
        x = self.recorded["hook_resid_pre"][self.place]
        normed = self.normed(x, "input_layernorm", "ln1.hook_normalized")
        before, x = x, self.attended(x, normed)
        read = before if self.config.parallel else x
        normed = self.normed(read, "post_attention_layernorm", "ln2.hook_normalized")
        self.updated(x, self.fed_forward(normed), "post_mlp_layernorm", "hook_mlp_out", "hook_resid_post")
        return self.done

    def fed_forward(self, normed: Tensor) -> Tensor:
        """What the FFN makes of the normed stream."""
        act, gated = self.config.act, self.config.gated
        act_fn = self.model.act_fns.get(self.layer, ACT_FNS[act])
        gate = self.product(
            "mlp.gate_proj" if gated else "mlp.up_proj", "gate" if gated else "up", normed, "mlp.hook_pre"
        )
        up = self.product("mlp.up_proj", "up", normed, "mlp.hook_pre_linear") if gated else torch.ones(())
        formula, point = f"{ACT_NAMES[act]}(gate) · up" if gated else f"{ACT_NAMES[act]}(up)", "mlp.hook_post"
        width, routed = len(gate), self.config.router is not None
        post = self.add("nonlinearity", formula, width, act_fn(gate) * up, 5 * width, 0, "" if routed else point)
        if self.config.router:
            shares = self.model.shares(normed, f"{self.prefix}mlp.router")
            post = self.add("route", "· share of its expert", width, post * shares, *self.cost("mlp.router"), point)
        return self.product("mlp.down_proj", "FFN update", post, self.unless("post_mlp_layernorm", "hook_mlp_out"))

    def unless(self, norm: str, point: str) -> str:
        """The point where a matrix's output is tapped, if no norm or factor comes between."""
        return "" if norm in self.config.norms or self.config.update_scale != 1 else point

    def updated(self, x: Tensor, update: Tensor, norm: str, added: str, after: str) -> Tensor:
        """The stream with what attention or FFN made added to it, normed and scaled first where the family does so."""
        if norm in self.config.norms:
            point = "" if self.config.update_scale != 1 else added
            update = self.normed(update, norm, point)
        if (scale := self.config.update_scale) != 1:
            update = self.add("scale", f"update · {scale:g}", len(x), update * scale, len(x), 0, added)
        return self.add("add", "stream + update", len(x), x + update, len(x), 0, after)

    def normed(self, x: Tensor, name: str, point: str) -> Tensor:
        """x after the norm of this name; where the family has none, x is read as it is."""
        d = len(x)
        if name not in self.config.norms:
            return self.add("no norm", "x as it is", d, x, 0, 0, point)
        return self.add("norm", NORM_FORMULAS[self.config.norm], d, self.norm(x, name), 4 * d, FLOAT * d, point)

    def attended(self, x: Tensor, normed: Tensor) -> Tensor:
        """The stream after attention, from the stream and its normed copy."""
        c, window = self.config, self.config.windows[self.layer]
        count = self.place + 1 if window is None else min(self.place + 1, window)
        q = self.heads("q", normed, c.n_heads)
        k = self.heads("k", normed, c.n_kv_heads)
        v = self.product("self_attn.v_proj", "value", normed, "attn.hook_v", (c.n_kv_heads, c.d_head))
        rotation = rotary(c.ropes[self.layer], self.place, self.place + 1)
        q = self.add(
            "rotate",
            "by its position",
            q.numel(),
            rotate(q[None, None], rotation)[0, 0],
            3 * q.numel(),
            0,
            "attn.hook_rot_q",
        )
        k = rotate(k[None, None], rotation)[0, 0]
        keys = torch.cat((self.recorded["attn.hook_rot_k"][:-1], k[None]))[-count:].repeat_interleave(c.kv_group, 1)
        values = torch.cat((self.recorded["attn.hook_v"][:-1], v[None]))[-count:].repeat_interleave(c.kv_group, 1)
        cache = FLOAT * count * c.n_kv_heads * c.d_head
        scores = capped(torch.einsum("hd,khd->hk", q, keys) / math.sqrt(c.d_head), c.attn_softcap)
        scores = self.add("scores", "q · k / √d", q.numel(), scores, 2 * q.numel() * count, cache, "")
        pattern = self.add("softmax", "to shares of 1", scores.numel(), scores.softmax(-1), 5 * scores.numel(), 0, "")
        z = torch.einsum("hk,khd->hd", pattern, values)
        z = self.add("mix", "shares · values", pattern.numel(), z, 2 * q.numel() * count, cache, "attn.hook_z")
        after = "post_self_attn_layernorm"
        made = self.product("self_attn.o_proj", "attention update", z.flatten(), self.unless(after, "hook_attn_out"))
        return self.updated(x, made, after, "hook_attn_out", "hook_resid_mid")

    def heads(self, name: str, normed: Tensor, count: int) -> Tensor:
        shape = (count, self.config.d_head)
        label = {"q": "query", "k": "key"}[name]
        result = self.product(f"self_attn.{name}_proj", label, normed, "", keep=False)
        result = result if self.config.qk_norm == "all heads" else result.view(shape)
        result = self.model.norm(result, f"{self.prefix}self_attn.{name}_norm").view(shape)
        if name == "q":
            result = result * self.config.query_scale
        return self.add(
            label, f"W_{name} · x", len(normed), result, *self.cost(f"self_attn.{name}_proj"), f"attn.hook_{name}"
        )

    def norm(self, x: Tensor, name: str) -> Tensor:
        gain, bias = (self.model.weights.get(f"{self.prefix}{name}.{kind}") for kind in ("weight", "bias"))
        if gain is None:
            return x
        if self.config.norm == "layer":
            x = x - x.mean()
        y = x * (x.square().mean() + self.config.norm_eps).rsqrt() * gain
        return y if bias is None else y + bias

    def cost(self, name: str) -> tuple[int, int]:
        count = self.model.weights[f"{self.prefix}{name}.weight"].numel()
        return 2 * count, FLOAT * count

    def product(
        self, name: str, label: str, x: Tensor, point: str, shape: tuple[int, ...] = (-1,), keep: bool = True
    ) -> Tensor:
        y = weight(self.model, f"{self.prefix}{name}.weight") @ x
        bias = self.model.weights.get(f"{self.prefix}{name}.bias")
        y = (y if bias is None else y + bias).view(shape)
        return (
            self.add(label, f"W_{name.split('.')[-1].removesuffix('_proj')} · x", len(x), y, *self.cost(name), point)
            if keep
            else y
        )

    def add(self, name: str, formula: str, given: int, result: Tensor, flops: int, read: int, point: str) -> Tensor:
        known = self.recorded[point][self.place] if point else result
        difference = float((known - result).abs().max())
        self.done.append(Part(name, formula, (given,), result, flops, read, point, difference))
        return result
