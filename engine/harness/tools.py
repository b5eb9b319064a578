"""The tools a harness can run: real, small, without side effects. What they are given comes from a model: untrusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from llm_holes.engine.errors import InputError
from llm_holes.engine.harness import sandbox
from llm_holes.engine.harness.calculator import calculate

MAX_RESULT = 600
Short = Annotated[str, msgspec.Meta(max_length=48)]
Long = Annotated[str, msgspec.Meta(max_length=160)]


class NoArguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Expression(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expression: Annotated[str, msgspec.Meta(max_length=32)]


class TextArgument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: Long


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: Short


class PathArgument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Short


@dataclass(frozen=True, slots=True)
class Tool:
    """`arguments` is a msgspec Struct: its JSON schema goes to the grammar, and what the model wrote is checked by it.
    `run` raises InputError to refuse."""

    name: str
    description: str
    arguments: type[msgspec.Struct]
    run: Callable[[Any], str]

    def schema(self) -> dict[str, Any]:
        """The arguments' JSON schema, without references."""
        (schema,), definitions = msgspec.json.schema_components([self.arguments], ref_template="{name}")
        name = schema.get("$ref", "")
        return {key: value for key, value in definitions[name].items() if key != "title"}

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "description": self.description, "parameters": self.schema()}


@dataclass(frozen=True, slots=True)
class Result:
    """What the software gives back: `text` as the model will read it; `refused` if nothing was done."""

    text: str
    refused: bool = False


def run_tool(tool: Tool, arguments: msgspec.Struct) -> Result:
    """Runs the tool; what comes back is bounded and has no invisible characters. A refusal is a result too."""
    try:
        return Result(as_data(tool.run(arguments)))
    except InputError as error:
        return Result(as_data(f"error: {error}"), refused=True)


def as_data(text: str, limit: int = MAX_RESULT) -> str:
    """At most `limit` characters, with those that cannot be seen written out (`\\x1b`, `\\u202e`); newlines stay."""
    shown = "".join(
        c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[:limit] + " … (shortened)"


def calculator() -> Tool:
    def run(arguments: Expression) -> str:
        return str(calculate(arguments.expression))

    return Tool("calculator", "exact whole-number arithmetic.", Expression, run)


def clock(now: Callable[[], datetime] = lambda: datetime.now().astimezone()) -> Tool:
    def run(arguments: NoArguments) -> str:
        return now().strftime("%A, %d %B %Y, %H:%M")

    return Tool("clock", "the date and the time here, now.", NoArguments, run)


def text_stats() -> Tool:
    def run(arguments: TextArgument) -> str:
        text = arguments.text
        letters = Counter(c for c in text.lower() if c.isalpha()).most_common(12)
        return (
            f"{len(text.split())} words, {len(text)} characters; letters: {', '.join(f'{c} {n}' for c, n in letters)}"
        )

    return Tool("text_stats", "counts words, characters and letters.", TextArgument, run)


def lookup(table: Mapping[str, str]) -> Tool:
    known = {key.strip().casefold(): value for key, value in table.items()}

    def run(arguments: Key) -> str:
        key = arguments.key.strip().casefold()
        if key not in known:
            raise InputError(f"no entry {arguments.key!r}; the table has: {', '.join(table) or 'nothing'}")
        return known[key]

    return Tool("lookup", "finds an entry in a local table.", Key, run)


def read_file(folder: Path) -> Tool:
    def run(arguments: PathArgument) -> str:
        return sandbox.read_text(folder, arguments.path)

    return Tool("read_file", "reads a file of the notes folder.", PathArgument, run)


def table_of(text: str) -> dict[str, str]:
    """The lines `key = value` of a table typed by hand; other lines are skipped."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}
