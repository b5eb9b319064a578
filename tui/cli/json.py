"""Frames and their parts as values that strict JSON can hold: no NaN, no bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import msgspec

from llm_holes.engine.frames import Array, Token

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def dumps(value: object) -> str:
    """The value as one line of JSON in ASCII, so that no text in it can steer a terminal."""
    return json.dumps(jsonable(value), allow_nan=False)


def jsonable(value: object) -> Json:
    """Structs become objects (with their `type`, if they have one), arrays nested lists, NaN and infinity null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Array():
            return jsonable(value.tolist())
        case Token(number, data, note):
            return {"id": number, "text": data.decode("utf-8", "backslashreplace"), "bytes": data.hex(), "note": note}
        case msgspec.Struct():
            tag = value.__struct_config__.tag
            fields = {name: jsonable(getattr(value, name)) for name in value.__struct_fields__}
            return {"type": str(tag), **fields} if tag else fields
        case Mapping():
            return {str(name): jsonable(inner) for name, inner in value.items()}
        case Sequence():
            return [jsonable(inner) for inner in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")
