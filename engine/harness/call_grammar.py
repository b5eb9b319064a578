"""The grammars of a call: the one way to write it, and every way in which it is accepted."""

from __future__ import annotations

import json
from collections.abc import Sequence

from llm_holes.engine.generation.grammar import json_grammar
from llm_holes.engine.harness.calls import call_schema
from llm_holes.engine.harness.tools import Tool


def call_grammar(tools: Sequence[Tool]) -> str:
    """The one way to write each call. White space is fixed: where it may vary, random sampling need never leave it."""
    fixed = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return json_grammar({"x-guidance": fixed, **call_schema(tools)})


def any_call_grammar(tools: Sequence[Tool]) -> str:
    """Every way `parse` accepts, to notice early that a text can no longer become a call."""
    either = [*call_schema(tools)["anyOf"]]
    turned = [{**one, "properties": dict(reversed(one["properties"].items()))} for one in either]
    schema = {"x-guidance": {"json_allow_general_unicode_escapes": True}, "anyOf": either + turned}
    return f"start: /[ \\n\\t]*/ call\ncall: %json {json.dumps(schema)}"
