"""The `tokenizers.Tokenizer` that transformers 5 makes of a model's folder: tokenizer.json is one part of it only.

Some tokenizer classes take the vocabulary and the merges from the file and bring their own rules of cutting
(`AutoTokenizer.from_pretrained`), and tokenizer_config.json, special_tokens_map.json and added_tokens.json name tokens
that the file may not know. Torch-free; transformers is not imported, which would take seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers

from llm_holes.engine.disk import files
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.tokenizer.bounds import MAX_ADDED, refuse_unbounded

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPACE = "\u2581"
Json = dict[str, Any]
HINT = "Use the tokenizer files of the model, unchanged."


class Rules(NamedTuple):
    """What a class puts in the place of the file's own; `specials` are the tokens it names where no file does. Without
    `keeps_ends` it puts nothing around a text, whatever the file says."""

    normalizer: Any
    pre_tokenizer: Any
    decoder: Any
    specials: dict[str, str]
    fallback: bool = False
    unknown: bool = False
    keeps_ends: bool = True


def load_backend(folder: Path) -> tuple[tokenizers.Tokenizer, Json]:
    """The tokenizer, and tokenizer_config.json with the special tokens that other files name. Raises ModelError."""
    path = folder / "tokenizer.json"
    try:
        data = files.read(path)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", "The model folder needs it.") from None
    try:
        refuse_unbounded(data)
    except ValueError as error:
        raise ModelError(f"{path} has {error}", HINT) from None
    with failing_as(lambda said: ModelError(f"{path} is not a tokenizer: {said}", HINT)):
        backend = tokenizers.Tokenizer.from_buffer(data)
    config = _config(folder)
    rules = _rules(read_json(folder / "config.json"), config, b'"ByteLevel"' in data)
    with failing_as(lambda said: ModelError(f"the special tokens that {folder} names are none: {said}", HINT)):
        return _made(backend, rules, folder, config), config


@contextmanager
def failing_as(told: Callable[[str], Exception]) -> Iterator[None]:
    """Raises what `told` makes of the words of an error that is none of ours: the library raises bare Exception,
    and for a panic in its Rust code something that is not even that."""
    try:
        yield
    except (ModelError, InputError, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        raise told(f"{error!s:.200}") from None


@contextmanager
def inside_a_text(backend: tokenizers.Tokenizer) -> Iterator[None]:
    """For a piece that is not the first of its text: without the space that is put in front of the first only."""
    cut = backend.pre_tokenizer
    if not isinstance(cut, pre_tokenizers.Metaspace) or cut.prepend_scheme != "first":
        yield
        return
    cut.prepend_scheme = "never"
    try:
        yield
    finally:
        cut.prepend_scheme = "first"


def read_json(path: Path) -> Json:
    """A small JSON object, {} if the file is not there. Raises ModelError."""
    try:
        return files.read_json(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", "Use an undamaged copy of it.") from None


def _config(folder: Path) -> Json:
    """tokenizer_config.json. special_tokens_map.json goes before it, unless it tells each added token by itself."""
    config = read_json(folder / "tokenizer_config.json")
    if "added_tokens_decoder" not in config:
        config |= read_json(folder / "special_tokens_map.json")
    if isinstance(config.get("additional_special_tokens"), list) and not config.get("extra_special_tokens"):
        config["extra_special_tokens"] = config["additional_special_tokens"]
    return config


# By model type, the class that transformers has registered where it is one with rules of its own or a general one;
# types that are not here have none registered.
REGISTERED = {
    **dict.fromkeys(("gemma", "gemma2", "gemma3", "gemma3_text"), "GemmaTokenizer"),
    **dict.fromkeys(("qwen2", "qwen2_moe", "qwen3", "qwen3_moe"), "Qwen2Tokenizer"),
    "gpt2": "GPT2Tokenizer",
    "gpt_neox": "GPTNeoXTokenizer",
    **dict.fromkeys(("granite", "olmo2", "phi3"), "TokenizersBackend"),
    **dict.fromkeys(("mistral", "mixtral"), "MistralCommonBackend"),
}
GENERAL = ("TokenizersBackend", "PythonBackend", "PreTrainedTokenizer", "MistralCommonBackend")
MISNAMED = ("phi3", "qwen2")
"""Types whose folders often name a wrong class: the registered one goes before it."""


def tokenizer_class(model_type: Any, told: Any, byte_level: bool) -> str:
    """The class that AutoTokenizer takes, without `Fast`, for the class that a folder's files tell, if any."""
    registered = REGISTERED.get(model_type, "") if isinstance(model_type, str) else ""
    if not isinstance(told, str) or not told:
        return registered
    named: str = told.removesuffix("Fast")
    # folders of Llama 3 name the class of Llama 2
    if named == "LlamaTokenizer" and byte_level and registered != "MistralCommonBackend" and model_type not in MISNAMED:
        return "TokenizersBackend"
    if not registered or registered == named:
        return named
    return registered if registered in GENERAL or model_type in MISNAMED else named


def _rules(model: Json, config: Json, byte_level: bool) -> Rules | None:
    named = config.get("tokenizer_class") or model.get("tokenizer_class")
    make = CLASSES.get(tokenizer_class(model.get("model_type"), named, byte_level))
    return make(config) if make else None


def _byte_level(config: Json, **of_class: Any) -> Rules:
    prefix = bool(config.get("add_prefix_space"))
    specials = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    rules = Rules(None, pre_tokenizers.ByteLevel(add_prefix_space=prefix), decoders.ByteLevel(), specials)
    return rules._replace(**of_class)


def _gpt_neox(config: Json) -> Rules:
    rules = _byte_level(config, normalizer=normalizers.NFC(), keeps_ends=False)
    return rules._replace(specials={**rules.specials, "pad_token": "<|padding|>"})


def _qwen2(config: Json) -> Rules:
    cut = pre_tokenizers.Split(Regex(QWEN2), behavior="isolated")
    level = pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space")), use_regex=False)
    specials = dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    return _byte_level(
        config, normalizer=normalizers.NFC(), pre_tokenizer=pre_tokenizers.Sequence([cut, level]), specials=specials
    )


def _llama(config: Json) -> Rules:
    prefix = config.get("add_prefix_space")
    first = "always" if config.get("legacy", False) else "first"
    return sentencepiece("never" if prefix is False else first)


def sentencepiece(prepend: str) -> Rules:
    """Those of LlamaTokenizer; `prepend` is whether a space is put in front of the `first` piece of a text, of each
    piece between special tokens (`always`), or `never`."""
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if prepend != "never":
        steps.append(decoders.Strip(content=" ", left=1))
    cut = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=prepend, split=False)
    specials = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return Rules(None, cut, decoders.Sequence(steps), specials, fallback=True)


def gemma(config: Json) -> Rules:
    """Those of GemmaTokenizer, which puts no space in front of a text."""
    names = {f"{name}_token": f"<{name}>" for name in ("bos", "eos", "unk", "pad", "mask")}
    cut = pre_tokenizers.Split(pattern=" ", behavior="merged_with_previous")
    decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    return Rules(normalizers.Replace(" ", SPACE), cut, decoder, names, fallback=True, unknown=True)


CLASSES: dict[str, Callable[[Json], Rules]] = {
    "GPT2Tokenizer": _byte_level,
    "GPTNeoXTokenizer": _gpt_neox,
    "Qwen2Tokenizer": _qwen2,
    "LlamaTokenizer": _llama,
    "GemmaTokenizer": gemma,
}
"""Classes that make themselves of the file's vocabulary and merges, by their name in transformers."""


def _made(backend: tokenizers.Tokenizer, rules: Rules | None, folder: Path, config: Json) -> tokenizers.Tokenizer:
    own = backend.get_added_tokens_decoder()
    told = ("added_tokens_decoder", "extra_special_tokens")
    lists = [*(config.get(name) for name in told), read_json(folder / "added_tokens.json")]
    _refuse_many(folder, sum(len(each) for each in lists if isinstance(each, list | dict)))
    if rules is not None and isinstance(backend.model, tokenizers.models.BPE):
        config |= {name: text for name, text in rules.specials.items() if name not in config}
        backend = with_rules(backend, rules, content(config.get("unk_token")))
    tokens = _known_tokens(folder, config, own)
    contents = {token.content for token in (*backend.get_added_tokens_decoder().values(), *tokens)}
    named = {name: value for name, value in config.items() if name.endswith("_token")}
    extra = config.get("extra_special_tokens") or ()
    if isinstance(extra, dict):
        named, extra = named | extra, ()
    for value in (*named.values(), *extra):
        if (text := content(value)) and text not in contents:
            tokens.append(_added(value) if isinstance(value, dict) else AddedToken(text, special=True))
            contents.add(text)
    texts = {content(value) for value in named.values()}
    for token in tokens:
        token.special = token.special or token.content in texts
    backend.add_tokens(tokens)
    return backend


def _refuse_many(folder: Path, added: int) -> None:
    if added > MAX_ADDED:
        raise ModelError(f"{folder} names {added:,} added tokens; the limit is {MAX_ADDED:,}", HINT)


def with_rules(backend: tokenizers.Tokenizer, rules: Rules, unknown: str) -> tokenizers.Tokenizer:
    """A tokenizer with the vocabulary, the merges and the ends of another, and with a class's rules; it has no added
    tokens yet."""
    model: Any = backend.model
    model.dropout, model.ignore_merges = None, False
    model.fuse_unk = model.byte_fallback = rules.fallback
    model.unk_token = unknown if rules.unknown else None
    made = tokenizers.Tokenizer(model)
    made.decoder = rules.decoder
    if rules.normalizer is not None:
        made.normalizer = rules.normalizer
    if rules.pre_tokenizer is not None:
        made.pre_tokenizer = rules.pre_tokenizer
    if rules.keeps_ends and backend.post_processor is not None:
        made.post_processor = backend.post_processor
    return made


def _known_tokens(folder: Path, config: Json, own: Mapping[int, AddedToken]) -> list[AddedToken]:
    """The added tokens that the files tell with their ids, in the order of these."""
    if (listed := config.get("added_tokens_decoder")) is not None:
        found = {int(index): _added(token) for index, token in listed.items()}
    else:
        specials = {content(value) for name, value in config.items() if name.endswith("_token")}
        specials |= set(map(content, config.get("extra_special_tokens") or ()))
        added = read_json(folder / "added_tokens.json")
        found = {
            index: AddedToken(text, normalized=text not in specials, special=text in specials)
            for text, index in added.items()
        } | dict(own)
    return [found[index] for index in sorted(found)]


def _added(token: Mapping[str, Any]) -> AddedToken:
    flags = {
        name: bool(token[name])
        for name in ("single_word", "lstrip", "rstrip", "normalized", "special")
        if name in token
    }
    return AddedToken(token["content"], **flags)


def content(token: Any) -> str:
    """A special token's text; the file has it as a string or as an object with `content`."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else ""
