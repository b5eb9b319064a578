"""The names a forward pass can be tapped at, as TransformerLens writes them.

Per layer, [batch, pos, …] unless said otherwise: `attn.hook_attn_scores` and `attn.hook_pattern` are
[batch, head, query, key]; q, k, v, rot_q, rot_k and z are [batch, pos, head, d_head] (k and v have n_kv_heads heads).
With a cache a decode step sees one position, a prefill sees all of the prompt.
"""

from __future__ import annotations

from collections.abc import Collection

GLOBAL = ("hook_embed", "ln_final.hook_normalized")
PER_LAYER = (
    "hook_resid_pre",
    "ln1.hook_normalized",
    "attn.hook_q",
    "attn.hook_k",
    "attn.hook_v",
    "attn.hook_rot_q",
    "attn.hook_rot_k",
    "attn.hook_attn_scores",
    "attn.hook_pattern",
    "attn.hook_z",
    "hook_attn_out",
    "hook_resid_mid",
    "ln2.hook_normalized",
    "mlp.hook_pre",
    "mlp.hook_pre_linear",
    "mlp.hook_post",
    "hook_mlp_out",
    "hook_resid_post",
)


def tap(layer: int, point: str) -> str:
    """The full name of a point of PER_LAYER in this layer."""
    return f"blocks.{layer}.{point}"


def in_all_layers(point: str, n_layers: int) -> frozenset[str]:
    """The full names of a point of PER_LAYER in every layer."""
    return frozenset(tap(layer, point) for layer in range(n_layers))


def unknown(taps: Collection[str], n_layers: int) -> list[str]:
    """The names among `taps` that no forward pass of this depth has."""
    return [name for name in taps if not _known(name, n_layers)]


def _known(name: str, n_layers: int) -> bool:
    if name in GLOBAL:
        return True
    prefix, _, rest = name.partition(".")
    layer, _, point = rest.partition(".")
    return prefix == "blocks" and layer.isdigit() and int(layer) < n_layers and point in PER_LAYER
