"""Rotary position parameters, read from a Hugging Face `config.json`. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config_keys import refuse_unknown
from llm_holes.engine.model.config_numbers import number

ROPE_TYPES = ("default", "linear", "llama3")
NEEDED = {"default": (), "linear": ("factor",), "llama3": ("factor", "low_freq_factor", "high_freq_factor")}
THETA = 10_000.0


class Rope(msgspec.Struct, frozen=True):
    """How a layer turns queries and keys by their places: the first `dims` numbers of each head, in pairs; none where
    it is 0. `factor` and the rest serve the scaled types (Llama 3.1, section 'RoPE scaling')."""

    dims: int
    rope_type: str = "default"
    rope_theta: float = THETA
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 8192


def read_rope(raw: Mapping[str, Any], given: Any, d_head: int) -> Rope:
    """The rotation that `given`, a dictionary of the parsed config `raw`, or the config itself asks for.

    Raises ModelError for a scaling that is not known, KeyError or ValueError for what is missing or no number.
    """
    if not isinstance(given, dict):
        raise ValueError(f"RoPE parameters = {given!r:.60}")
    names = [name for name in Rope.__struct_fields__ if name != "dims"]
    fields = {name: given[name] for name in names if given.get(name) is not None}
    fields.setdefault("rope_type", given.get("type") or "default")
    fields.setdefault("rope_theta", raw.get("rope_theta", THETA))
    if str(fields["rope_type"]) not in ROPE_TYPES:
        raise ModelError(f"RoPE type {fields['rope_type']!r} is not supported", f"Supported: {', '.join(ROPE_TYPES)}.")
    known = {*names, "type"} | ({"partial_rotary_factor"} & raw.keys())
    if other := {n: v for n, v in given.items() if n not in known and v is not None}:
        refuse_unknown(other)
    if fields["rope_type"] == "llama3":
        fields.setdefault("original_max_position_embeddings", raw["max_position_embeddings"])
    for name in NEEDED[fields["rope_type"]]:
        if name not in fields:
            raise KeyError(name)
    for name in fields.keys() - {"rope_type"}:
        number(fields[name], name)
    if fields["rope_type"] == "llama3" and fields["low_freq_factor"] >= fields["high_freq_factor"]:
        raise ValueError(f"low_freq_factor = {fields['low_freq_factor']!r}, which is not below high_freq_factor")
    parts = (where.get("partial_rotary_factor") for where in (given, raw))
    part = number(next((part for part in parts if part is not None), 1), "partial_rotary_factor")
    dims = int(d_head * part)
    if dims % 2 or not 0 < dims <= d_head:
        raise ModelError(f"{dims} of a head's {d_head} dimensions cannot be rotated in pairs", "Check config.json.")
    return msgspec.convert({**fields, "dims": dims}, Rope, strict=False)
