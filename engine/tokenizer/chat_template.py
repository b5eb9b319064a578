"""Chat templates: the jinja2 text that turns a list of messages into one prompt. Torch-free.

A template comes with the model, so it is untrusted code: it runs in a process of its own, in jinja2's immutable
sandbox, and its size, time, memory and output are bounded. Templates are looked for where transformers 5 looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from llm_holes.engine.disk.files import MAX_TEMPLATE, TEMPLATES, read, read_json
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.tokenizer.template_limits import MAX_MEMORY, MAX_PROMPT, SECONDS, Answer
from llm_holes.engine.tokenizer.template_renderer import Ended, Renderer, TookTooLong

MAX_FILES = 100
FILE, OLDER_FILE = "chat_template.jinja", "chat_template.json"
HINT = "Use a model whose chat template works with transformers, or a lesson that needs no chat."
RENDERER = Renderer()


class TemplateRefusal(ModelError):
    """The template runs into an error, often one it raises itself because the messages are not to its liking."""


def render(template: str, variables: Mapping[str, Any]) -> str:
    """The prompt, in characters at most MAX_PROMPT. Raises InputError if it is longer, TemplateRefusal if the template
    refuses the messages or is broken, ModelError if it is too large or takes longer than SECONDS."""
    if size(template) > MAX_TEMPLATE:
        raise ModelError(f"the model's chat template is longer than {MAX_TEMPLATE:,} bytes", HINT)
    try:
        return _text(RENDERER.ask({"template": template, "variables": dict(variables)}))
    except TookTooLong:
        raise ModelError(f"the model's chat template takes longer than {SECONDS:.0f} s", HINT) from None
    except Ended as error:
        raise ModelError(f"the model's chat template ended the process that renders it, {error}", HINT) from None


def _text(answer: Answer) -> str:
    match answer.get("fault"):
        case "long":
            raise InputError(f"the prompt is longer than {MAX_PROMPT:,} characters", "Use shorter messages.")
        case "refused":
            raise TemplateRefusal(f"the model's chat template fails: {answer['said']}", HINT)
        case "large":
            memory = f"more than {MAX_MEMORY / 2**20:.0f} MB of memory, or is nested too deeply"
            raise ModelError(f"the model's chat template takes {memory} ({answer['said']})", HINT)
    return answer["text"]


def size(template: str) -> int:
    """Its length in bytes; a JSON file may have halves of characters, which are no UTF-8."""
    return len(template.encode("utf-8", "surrogatepass"))


def named_templates(value: Any) -> dict[str, str]:
    """The templates in a config's `chat_template` by name: a text alone is `default`, the one for plain chat."""
    if isinstance(value, list):
        pairs = [(item.get("name"), item.get("template")) for item in value if isinstance(item, dict)]
    else:
        pairs = list(value.items()) if isinstance(value, dict) else [("default", value)]
    return {name: text for name, text in pairs if isinstance(name, str) and isinstance(text, str) and text}


def template_files(folder: Path) -> dict[str, Path]:
    """The files of a model's folder that hold one template each, by the template's name, at most MAX_FILES."""
    found = islice((folder / TEMPLATES).glob("*.jinja"), MAX_FILES)
    files = {path.stem: path for path in sorted(found)}
    if (folder / FILE).exists():
        files["default"] = folder / FILE
    return files


def read_templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """The templates of a model's folder by name: those in files of their own, else those in tokenizer_config.json
    (`config`), else those in chat_template.json, where only the processor of a model keeps them."""
    try:
        if found := {name: read(path).decode("utf-8", "replace") for name, path in template_files(folder).items()}:
            return found
        if found := named_templates(config.get("chat_template")):
            return found
        value = read_json(folder / OLDER_FILE) if (folder / OLDER_FILE).exists() else {}
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}: {error.strerror}", HINT) from None
    return named_templates(value.get("chat_template"))
