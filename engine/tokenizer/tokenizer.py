"""Text ↔ token ids with the model's own tokenizer.json. Torch-free; imports only `tokenizers`."""

from __future__ import annotations

import codecs
import copy
import json
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import tokenizers

from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.tokenizer.backend import HINT, content, failing_as, inside_a_text, load_backend, read_json
from llm_holes.engine.tokenizer.chat_template import TemplateRefusal, named_templates, read_templates, render
from llm_holes.engine.tokenizer.turns import NO_TEMPLATE, PLAIN, Message, arrangements

FAILS = "Type another text, or use the tokenizer files of the model, unchanged."
MAX_TOKEN = 2**14
SPECIALS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


class Tokenizer:
    """`vocabulary` is the end of the ids that have a text, `special_ids` those of the control tokens, `end_token` the
    text of the token that ends an answer (empty if the model has none) and `eos_ids` every id that ends one. `begin`
    and `close` are the ids it puts around a text of its own accord, such as a BOS. With `rows`, the length of the
    model's table, no id reaches past it."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        config: Mapping[str, Any],
        eos_ids: Iterable[int] = (),
        rows: int = sys.maxsize,
    ) -> None:
        self._backend = _as_it_was_trained(backend)
        self._rows = rows
        self._lock = threading.Lock()
        added = backend.get_added_tokens_decoder()
        self._added = {index: token.content for index, token in added.items()}
        self._special = {token.content: index for index, token in added.items() if token.special}
        self._byte_level = _is_byte_level(backend)
        self.begin, self.close = (tuple(i for i in ids if i < rows) for ids in _around(backend))
        self._names = {f"{name}_token": content(config.get(f"{name}_token")) for name in SPECIALS}
        self._templates = named_templates(config.get("chat_template"))
        self._tell: Callable[[str], None] = lambda note: None
        named = backend.token_to_id(self._names["eos_token"])
        self.eos_ids = frozenset(i for i in (*eos_ids, -1 if named is None else named) if 0 <= i < rows)
        self.special_ids = frozenset(i for i in self._special.values() if i < rows)
        vocabulary = backend.get_vocab()
        if (longest := max(map(len, vocabulary), default=0)) > MAX_TOKEN:
            raise ModelError(f"the tokenizer has a token of {longest:,} characters", HINT)
        self.vocabulary: int = min(max(vocabulary.values(), default=-1) + 1, rows)
        first = named if named in self.eos_ids else min(self.eos_ids, default=None)
        self.end_token: str = "" if first is None else self.decode([first])

    @classmethod
    def load(cls, folder: str | Path, rows: int = sys.maxsize) -> Tokenizer:
        """Read tokenizer.json and what belongs to it from a model folder; `rows` is the length of the model's table.
        Raises ModelError."""
        folder = Path(folder)
        backend, config = load_backend(folder)
        config["chat_template"] = read_templates(folder, config)
        return cls(backend, config, _eos_ids(folder), rows)

    @property
    def has_chat(self) -> bool:
        """Whether the model comes with a template for plain chat; a base model has none."""
        return "default" in self._templates

    def needs_chat(self) -> None:
        """For what makes no sense with plain text. Raises InputError if the model has no chat template."""
        if not self.has_chat:
            hint = "Use an instruct model, such as the default one."
            raise InputError("this lesson needs a chat, and this model has no chat template (a base model)", hint)

    def telling(self, tell: Callable[[str], None]) -> Tokenizer:
        """This tokenizer; `tell` gets a sentence whenever messages cannot be put into the template as they are."""
        telling = copy.copy(self)
        telling._tell = tell
        return telling

    def __eq__(self, other: object) -> bool:
        """Whether both cut alike, as the one that tells does: what was made for one serves the other."""
        return isinstance(other, Tokenizer) and other._backend is self._backend

    def __hash__(self) -> int:
        return id(self._backend)

    def to_json(self) -> str:
        """The tokenizer.json in use, for libraries that read one."""
        with self._lock:
            return str(self._backend.to_str())

    def encode(self, text: str, specials: bool = False, inside: bool = False) -> list[int]:
        """The ids of `text`, with nothing added. `<|im_end|>` in it is plain text unless `specials`. What comes after a
        special token is `inside`.

        Raises InputError if one of them has no row in the model's table, or if the tokenizer fails with the text.
        """
        with self._lock, failing_as(lambda said: InputError(f"the tokenizer fails with this text: {said}", FAILS)):
            self._backend.encode_special_tokens = not specials
            with inside_a_text(self._backend) if inside else nullcontext():
                ids = list(self._backend.encode(text, add_special_tokens=False).ids)
        if (last := max(ids, default=0)) >= self._rows:
            raise InputError(
                f"the text has token {last:,}, {self.decode([last])!r}; the model's table has {self._rows:,} rows",
                "Type another text, or use a model whose tokenizer fits its table.",
            )
        return ids

    def encode_whole(self, text: str) -> list[int]:
        """The ids of a text that is all the model reads: with what the tokenizer puts before and after one."""
        return [*self.begin, *self.encode(text), *self.close]

    def in_front(self, text: str) -> str:
        """The space that some tokenizers put in front of a text, to spell its first word like one inside it."""
        return " " if text and self.decode(self.encode(text)) == f" {text}" else ""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens included; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def token_bytes(self, index: int) -> bytes:
        """The exact bytes a token stands for; of a special token, its text; of an id without one, as in the padding at
        the end of many tables, `[49152]`. Raises InputError for an id below 0."""
        if index in self._added:
            return self._added[index].encode()
        if index < 0:
            raise InputError(f"{index} is not a token id", "Ids start at 0.")
        token = self._backend.id_to_token(index) if index < 2**32 else None
        if token is None:
            return f"[{index}]".encode()
        if self._byte_level:
            table = bytes_of_characters()
            return bytes(table[c] for c in token) if all(c in table for c in token) else token.encode()
        if re.fullmatch("<0x[0-9A-Fa-f]{2}>", token):
            return bytes([int(token[3:5], 16)])
        return token.replace("\u2581", " ").encode()

    def chat(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        template: str | None = None,
        complete: bool = False,
    ) -> str:
        """The prompt the chat template makes of `messages` ({"role", "content"}); `template` replaces the model's.

        A template that refuses the messages, or with `complete` one that leaves the content of one out, gets them in
        another form (`turns`). Without a template the prompt is the messages' text. Raises ModelError if it fails.
        """
        if template is None:
            named = "tool_use" if tools is not None and "tool_use" in self._templates else "default"
            template = self._templates.get(named, PLAIN)
            if not self.has_chat:
                self._tell(NO_TEMPLATE)
        names = {name: text for name, text in self._names.items() if text}
        variables = {"tools": tools, "documents": None, "add_generation_prompt": add_generation_prompt, **names}
        refusal: TemplateRefusal | None = None
        incomplete = ""
        for arranged, notes in arrangements(messages):
            try:
                text = render(template, {"messages": arranged, **variables})
            except TemplateRefusal as error:
                refusal = refusal or error
                continue
            if complete and any(str(message["content"]) not in text for message in messages):
                incomplete = incomplete or text
                continue
            for note in notes:
                self._tell(note)
            return text
        if refusal is not None and not incomplete:
            raise refusal
        return incomplete

    def chat_ids(
        self,
        messages: Sequence[Message],
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] | None = None,
        template: str | None = None,
    ) -> list[int]:
        """The ids of `chat(…)`: special tokens the template writes are special, those in a message stay plain text.

        Otherwise a learner who types `<|im_end|>` would end their own turn and could write the system's next one
        (prompt injection). The rendered text does not tell the two apart. So before rendering, each special token's
        text inside a message or tool is replaced by an unguessable marker; the specials found in the rendered text
        are then the template's own, and the markers in the text between them are turned back before it is encoded.
        """
        pattern = re.compile("|".join(map(re.escape, sorted(self._special, key=len, reverse=True))) or r"(?!)")
        nonce = secrets.token_hex(8)
        hidden: list[str] = []

        def mark(found: re.Match[str]) -> str:
            hidden.append(found[0])
            return f"\ue000{nonce}-{len(hidden) - 1}\ue000"

        safe_messages, safe_tools = _map_text(list(messages), pattern, mark), _map_text(tools, pattern, mark)
        text = self.chat(safe_messages, add_generation_prompt, safe_tools, template)
        if not hidden:
            return self.encode(text, specials=True)
        marker = re.compile(f"\ue000{nonce}-([0-9]+)\ue000")
        ids: list[int] = []
        at = 0
        for found in [*pattern.finditer(text), None]:
            between = text[at : found.start() if found else len(text)]
            ids += self.encode(marker.sub(lambda m: hidden[int(m[1])], between), inside=at > 0)
            if found:
                ids.append(self._special[found[0]])
                at = found.end()
        return ids


class Detokenizer:
    """Tokens one at a time → text as soon as its characters are whole.

    A character may be spread over several tokens; its bytes are held back until the last one is there.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, index: int) -> str:
        """The characters this token completes, often the token's text, sometimes nothing."""
        return self._decoder.decode(self._tokenizer.token_bytes(index))

    @property
    def held(self) -> bytes:
        """What is held back until its character is whole."""
        return bytes(self._decoder.getstate()[0])

    def flush(self) -> str:
        """What is still held back, as U+FFFD; afterwards the detokenizer is as new."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


@cache
def bytes_of_characters() -> dict[str, int]:
    """GPT-2's byte alphabet: printable bytes are themselves, the others the characters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(others)}


def _as_it_was_trained(backend: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """Without what may have been saved of a training run: truncation, padding, merges left out at random."""
    backend.no_truncation()
    backend.no_padding()
    if getattr(backend.model, "dropout", None):
        backend.model.dropout = None
    return backend


def _is_byte_level(backend: tokenizers.Tokenizer) -> bool:
    """Whether tokens are spelt in GPT-2's byte alphabet: the decoder says so or, without one, the tokens themselves."""
    if backend.decoder:
        return b'"ByteLevel"' in backend.decoder.__getstate__()
    return backend.token_to_id("\u0120") is not None and backend.token_to_id("\u010a") is not None


def _around(backend: tokenizers.Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids the post-processor puts before and after a text."""
    begin: list[int] = []
    close: list[int] = []
    processor = json.loads(backend.post_processor.__getstate__()) if backend.post_processor else {}
    for step in processor.get("processors", [processor]):
        if step.get("type") in ("BertProcessing", "RobertaProcessing"):
            begin, close = [step["cls"][1], *begin], [*close, step["sep"][1]]
        if step.get("type") == "TemplateProcessing":
            ids = [_template_ids(step, piece) for piece in step["single"]]
            at = next((i for i, piece in enumerate(step["single"]) if "Sequence" in piece), len(ids))
            begin, close = [*chain(*ids[:at]), *begin], [*close, *chain(*ids[at:])]
    return tuple(begin), tuple(close)


def _template_ids(step: Mapping[str, Any], piece: Mapping[str, Any]) -> list[int]:
    special = piece.get("SpecialToken")
    if not special:
        return []
    if special["id"] not in step["special_tokens"]:
        raise ModelError(
            f"the tokenizer puts {special['id']!r:.40} around a text, and does not say which token it is", HINT
        )
    return list(step["special_tokens"][special["id"]]["ids"])


def _map_text(value: Any, pattern: re.Pattern[str], replace: Any) -> Any:
    if isinstance(value, str):
        return pattern.sub(replace, value)
    if isinstance(value, Mapping):
        return {_map_text(key, pattern, replace): _map_text(item, pattern, replace) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_map_text(item, pattern, replace) for item in value]
    return value


def _eos_ids(folder: Path) -> set[int]:
    found: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        value = read_json(folder / name).get("eos_token_id")
        found |= {i for i in (value if isinstance(value, list) else [value]) if type(i) is int}
    return found
