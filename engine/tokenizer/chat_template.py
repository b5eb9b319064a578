"""Chat templates: the jinja2 text that turns a list of messages into one prompt. Torch-free.

A template comes with the model, so it is untrusted code: it runs in jinja2's immutable sandbox, and its size, its time
and its output are bounded. The environment offers what transformers' `apply_chat_template` offers.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_holes.engine.errors import InputError, ModelError

if TYPE_CHECKING:
    from types import FrameType

    from jinja2 import Template

MAX_TEMPLATE = 16 * 2**10
MAX_PROMPT = 2**20
SECONDS = 2.0
HINT = "Use a model whose chat template works with transformers, or a lesson that needs no chat."


class _TooLong(Exception):
    pass


def render(template: str, variables: Mapping[str, Any]) -> str:
    """The prompt, in characters at most MAX_PROMPT. Raises InputError if it is longer, ModelError if the template is
    broken, hostile, refuses the messages or takes longer than SECONDS."""
    import jinja2

    pieces: list[str] = []
    length = 0
    try:
        compiled = _compile(template)
        with _deadline(SECONDS):
            for piece in compiled.generate(**variables):
                pieces.append(piece)
                length += len(piece)
                if length > MAX_PROMPT:
                    raise InputError(f"the prompt is longer than {MAX_PROMPT:,} characters", "Use shorter messages.")
    except _TooLong:
        raise ModelError(f"the model's chat template takes longer than {SECONDS:.0f} s", HINT) from None
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise ModelError(f"the model's chat template fails: {error}", HINT) from None
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise ModelError(f"the model's chat template is too large: {type(error).__name__}", HINT) from None
    return "".join(pieces)


def default_template(value: Any) -> str:
    """The template for plain chat in a tokenizer config's `chat_template`: a text, or several named ones."""
    if isinstance(value, list):
        named = {item.get("name"): item.get("template") for item in value if isinstance(item, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=8)
def _compile(template: str) -> Template:
    import jinja2
    import jinja2.ext
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if len(template.encode()) > MAX_TEMPLATE:
        raise ModelError(f"the model's chat template is longer than {MAX_TEMPLATE:,} bytes", HINT)

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(template)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # jinja2's own filter escapes HTML, which would put &lt; into prompts
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Raise _TooLong inside template code that runs past the deadline.

    A trace function is the one way to stop a loop in the same thread on every platform; it only follows templates.
    """
    end = time.monotonic() + seconds

    def check(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != "<template>":
            return None
        if time.monotonic() > end:
            raise _TooLong
        return check

    before = sys.gettrace()
    sys.settrace(check)
    try:
        yield
    finally:
        sys.settrace(before)
