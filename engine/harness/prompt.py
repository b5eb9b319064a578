"""Messages → the exact tokens of the context, each stretch with who put it there. Torch-free.

The default model's own chat template ignores `tools`, so the harness brings its own for models that were trained on
ChatML (`<|im_start|>role … <|im_end|>`). Other models keep their template; tools are then listed in the system message,
and results are in a user's message. A template without a system role, or without any of this, is met halfway, see
`tokenizer.turns`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llm_holes.engine.tokenizer.tokenizer import Tokenizer

Role = Literal["system", "user", "assistant", "tool"]
Who = Literal["model", "software"]
CHATML = ("<|im_start|>", "<|im_end|>")
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""
SYSTEM = "You are a helpful assistant."
TOOLS = """
You can use tools. To use one, write only a call, such as {"name": "NAME", "arguments": {"ARGUMENT": "..."}}
The result comes back as the next message. Tools:
"""


@dataclass(frozen=True, slots=True)
class Message:
    """`who` wrote the content: the model, or the software around it (which also passes on what the user typed)."""

    role: Role
    content: str
    who: Who = "software"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the context. `what` is a message's role, or `template` for the marks around the messages."""

    who: Who
    what: Role | Literal["template"]
    ids: tuple[int, ...]


def ids_of(pieces: Iterable[Piece]) -> list[int]:
    return [i for piece in pieces for i in piece.ids]


def system_text(tools: Sequence[Mapping[str, Any]], text: str = SYSTEM) -> str:
    """The system message: `text`, and the tools as {"name", "description", "parameters" (a JSON schema)}."""
    if not tools:
        return text
    return text + TOOLS + "\n".join(_line(tool) for tool in tools)


def pieces(tokenizer: Tokenizer, messages: Sequence[Message], answer_next: bool = True) -> list[Piece]:
    """The whole context of a conversation; with `answer_next` it ends where the model's answer begins.

    What is in a message is encoded as plain text, so `<|im_end|>` in a tool's result ends nothing: each content
    goes through the template as an unguessable mark, and what the template wrote around the marks is its own.
    Raises ModelError if the template fails.
    """
    own = tokenizer.has_chat and tokenizer.special_ids >= {tokenizer.encode(mark, specials=True)[0] for mark in CHATML}
    nonce = secrets.token_hex(8)
    marked = [{"role": _role(m.role, own), "content": f"{nonce}-{n}-{nonce}"} for n, m in enumerate(messages)]
    text = tokenizer.chat(marked, add_generation_prompt=answer_next, template=TEMPLATE if own else None, complete=True)
    found: list[Piece] = []
    for n, part in enumerate(re.split(f"{nonce}-([0-9]+)-{nonce}", text)):
        if n % 2 == 0:
            found.append(Piece("software", "template", tuple(tokenizer.encode(part, specials=True))))
        else:
            message = messages[int(part)]
            found.append(Piece(message.who, message.role, tuple(tokenizer.encode(message.content))))
    return [piece for piece in found if piece.ids]


def continuation(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[Piece]:
    """What the software appends after an answer the model has just ended: the rest of the answer's marks, `messages`,
    and the marks that open the next answer. The end token itself is included, whether or not the model wrote it."""
    whole = pieces(tokenizer, [Message("user", "x"), Message("assistant", "x", "model"), *messages])
    start = next(n for n, piece in enumerate(whole) if piece.who == "model")
    return whole[start + 1 :]


def _role(role: Role, own: bool) -> Role:
    return "user" if role == "tool" and not own else role


def _line(tool: Mapping[str, Any]) -> str:
    names = tool["parameters"].get("properties", {})
    arguments = ", ".join(json.dumps(name) for name in names) or "none"
    return f"- {tool['name']}: {tool['description']} Arguments: {arguments}."
