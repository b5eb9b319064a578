"""What a chat template may take, and what goes between the process that renders it and the one that asks."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

SECONDS = 2.0
MAX_MEMORY = 300 * 2**20
MAX_PROMPT = 2**20
"""Characters."""


class Request(TypedDict):
    template: str
    variables: dict[str, Any]


class Answer(TypedDict, total=False):
    """`text`, or a `fault`: the template `refused` with what it `said`, its output is too `long`, or it is too `large`
    for the memory or the stack it may have."""

    text: str
    fault: Literal["refused", "long", "large"]
    said: str
