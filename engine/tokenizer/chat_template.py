"""Chat templates: the jinja2 text that turns a list of messages into one prompt. Torch-free.

A template comes with the model, so it is untrusted code: it runs in jinja2's immutable sandbox, and its size, its time
and its output are bounded. The environment offers what transformers' `apply_chat_template` offers, and templates are
looked for where transformers 5 looks.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_holes.engine.errors import InputError, ModelError

if TYPE_CHECKING:
    from types import FrameType

    from jinja2 import Template
    from jinja2.parser import Parser

MAX_TEMPLATE = 64 * 2**10
MAX_PROMPT = 2**20
SECONDS = 2.0
FILE, OLDER_FILE, FOLDER = "chat_template.jinja", "chat_template.json", "additional_chat_templates"
HINT = "Use a model whose chat template works with transformers, or a lesson that needs no chat."


class TemplateRefusal(ModelError):
    """The template runs into an error, often one it raises itself because the messages are not to its liking."""


class _TooLong(Exception):
    pass


def render(template: str, variables: Mapping[str, Any]) -> str:
    """The prompt, in characters at most MAX_PROMPT. Raises InputError if it is longer, TemplateRefusal if the template
    refuses the messages or is broken, ModelError if it is too large or takes longer than SECONDS."""
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
        raise TemplateRefusal(f"the model's chat template fails: {error}", HINT) from None
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise ModelError(f"the model's chat template is too large: {type(error).__name__}", HINT) from None
    return "".join(pieces)


def named_templates(value: Any) -> dict[str, str]:
    """The templates in a config's `chat_template` by name: a text alone is `default`, the one for plain chat."""
    if isinstance(value, list):
        value = {item.get("name"): item.get("template") for item in value if isinstance(item, dict)}
    found = value if isinstance(value, dict) else {"default": value}
    return {name: text for name, text in found.items() if isinstance(name, str) and isinstance(text, str) and text}


def template_files(folder: Path) -> dict[str, Path]:
    """The files of a model's folder that hold one template each, by the template's name."""
    files = {path.stem: path for path in sorted((folder / FOLDER).glob("*.jinja"))}
    if (folder / FILE).exists():
        files["default"] = folder / FILE
    return files


def read_templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """The templates of a model's folder by name: those in files of their own, else those in tokenizer_config.json
    (`config`), else those in chat_template.json, where only the processor of a model keeps them."""
    if files := template_files(folder):
        found: dict[str, str] = {}
        for name, path in files.items():
            with path.open("rb") as handle:
                found[name] = handle.read(MAX_TEMPLATE + 1).decode("utf-8", "replace")
        return found
    if found := named_templates(config.get("chat_template")):
        return found
    try:
        value = json.loads((folder / OLDER_FILE).read_bytes()) if (folder / OLDER_FILE).exists() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {folder / OLDER_FILE}: {error}", HINT) from None
    return named_templates(value.get("chat_template") if isinstance(value, dict) else None)


@lru_cache(maxsize=8)
def _compile(template: str) -> Template:
    import jinja2
    import jinja2.ext
    from jinja2.nodes import CallBlock, Node
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        """`{% generation %}…{% endgeneration %}` marks what an assistant writes, for training; here it is its body."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Parser) -> Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            # a call, as in transformers, so that what is set inside stays inside
            return CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

        def _body(self, caller: Callable[[], str]) -> str:
            return caller()

    if len(template.encode()) > MAX_TEMPLATE:
        raise ModelError(f"the model's chat template is longer than {MAX_TEMPLATE:,} bytes", HINT)

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
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
