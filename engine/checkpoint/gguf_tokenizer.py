"""A GGUF file's vocabulary as Hugging Face tokenizer files. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from llm_holes.engine.checkpoint.gguf import File
from llm_holes.engine.checkpoint.gguf_sentencepiece import bad, sentencepiece_bpe, sentencepiece_unigram
from llm_holes.engine.disk.files import MAX_TEMPLATE
from llm_holes.engine.tokenizer.backend import QWEN2, failing_as

CONTROL, USER_DEFINED = 3, 4

# How text is cut before merging, as published with each model's tokenizer; GGUF stores only the name of it.
WORDS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + WORDS
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*|\p{{N}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+{ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*{ENDINGS}|\p{{N}}{{1,3}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "smaug-bpe", "dbrx", "falcon3", "pixtral", "lfm2"), LLAMA3),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "kormo"), QWEN2),
    **dict.fromkeys(("gpt-4o", "llama4"), GPT4O),
    "tekken": TEKKEN,
}
SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
GPT2 = (
    "gpt-2",
    "phi-2",
    "mpt",
    "olmo",
    "jais",
    "mellum",
    "a.x-4.0",
    "gigachat",
    "exaone4",
    "trillion",
    "granite-docling",
)
WHOLE_WORDS_FIRST = ("llama-bpe", "llama3", "llama-v3", "tekken")
COMPOSED = ("qwen2", "deepseek-r1-qwen")
DEFAULT = (
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
)
"""llama.cpp's rules, one after the other, for files that name none: no model's own, but near to most."""
ASSUMED = "it names no pre-tokenizer: text is cut by llama.cpp's default rules, which may not be the model's own"


def assumes_pre_tokenizer(file: File) -> bool:
    """Whether the file does not say how its text is cut, so that it is cut by DEFAULT."""
    return bool(file.metadata.get("tokenizer.ggml.pre", "default") == "default")


def write_tokenizer(file: File, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json. Raises ModelError for a vocabulary it cannot reproduce."""
    tokens = _strings(file, "tokens")
    if len(tokens) > file.tensors["token_embd.weight"].shape[0] or len(set(tokens)) != len(tokens):
        raise bad(file, "has a vocabulary that does not fit its embedding")
    kind = _choice(file, "model", tuple(MAKE))
    with failing_as(lambda said: bad(file, f"has a vocabulary that is none: {said}")):
        tokenizer = MAKE[kind](file, tokens)
        # of the tokens as they are spelt now
        tokens = [str(tokenizer.id_to_token(index)) for index in range(len(tokens))]
        tokenizer.post_processor = _post_processor(file, tokens, kind)
        _add_tokens(file, tokens, tokenizer)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    _write_config(file, tokens, folder)


def _byte_level(file: File, tokens: list[str]) -> Tokenizer:
    """Byte-level BPE, as in GPT-2 and most models since."""
    split = _split(file)
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in _strings(file, "merges"))]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    if outside := next((pair for pair in pairs if not {*pair, "".join(pair)} <= vocabulary.keys()), None):
        raise bad(file, f"has merges that do not fit its vocabulary: {outside!r:.80}")
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=split in WHOLE_WORDS_FIRST))
    tokenizer.pre_tokenizer = _pre_tokenizer(split)
    tokenizer.decoder = decoders.ByteLevel()
    if split in COMPOSED:
        tokenizer.normalizer = normalizers.NFC()
    return tokenizer


MAKE: dict[str, Callable[[File, list[str]], Tokenizer]] = {
    "gpt2": _byte_level,
    "llama": sentencepiece_bpe,
    "t5": sentencepiece_unigram,
}
"""By `tokenizer.ggml.model`, what makes the tokenizer of a file and its tokens."""


def _split(file: File) -> str:
    known = (*SPLITS, *SINGLE_DIGITS, *GPT2)
    return "default" if assumes_pre_tokenizer(file) else _choice(file, "pre", known)


def _add_tokens(file: File, tokens: list[str], tokenizer: Tokenizer) -> None:
    """Control tokens are special; those of the user are found whole in a text before anything else is."""
    kinds = file.metadata.get("tokenizer.ggml.token_type", [])
    for wanted, special in ((CONTROL, True), (USER_DEFINED, False)):
        found = [token for token, kind in zip(tokens, kinds, strict=False) if kind == wanted and token]
        tokenizer.add_tokens([AddedToken(token, normalized=False, special=special) for token in found])


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    if name in GPT2:
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name in SINGLE_DIGITS:
        return pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    rules = DEFAULT if name == "default" else (SPLITS[name],)
    cuts: list[Any] = [pre_tokenizers.Split(Regex(rule), behavior="isolated") for rule in rules]
    return pre_tokenizers.Sequence([*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _post_processor(file: File, tokens: list[str], kind: str) -> Any:
    """What is put around a text: the BOS and the end that the file asks for or, saying nothing, its kind has."""
    begins = kind == "llama" or (kind == "gpt2" and _split(file) in WHOLE_WORDS_FIRST)
    places = {"bos": begins, "eos": kind == "t5"}
    asked = {name for name, default in places.items() if file.metadata.get(f"tokenizer.ggml.add_{name}_token", default)}
    found = {name: index for name in asked if (index := special_id(file, name)) is not None}
    if not found:
        return (
            processors.ByteLevel(trim_offsets=False) if kind == "gpt2" else processors.TemplateProcessing(single="$A")
        )
    names = {name: tokens[index] for name, index in found.items()}
    single = [name for name in (names.get("bos"), "$A", names.get("eos")) if name]
    return processors.TemplateProcessing(single=single, special_tokens=[(tokens[i], i) for i in found.values()])


def special_id(file: File, name: str) -> int | None:
    """The id of a special token, None if the model has none: files say -1 or 2**32 - 1 then, or leave it out."""
    index, tokens = (file.metadata.get(f"tokenizer.ggml.{key}") for key in (f"{name}_token_id", "tokens"))
    return index if type(index) is int and isinstance(tokens, list) and 0 <= index < len(tokens) else None


def _write_config(file: File, tokens: list[str], folder: Path) -> None:
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
    }
    for name, key in {"bos": "bos", "eos": "eos", "pad": "padding"}.items():
        if (index := special_id(file, key)) is not None:
            config[f"{name}_token"] = tokens[index]
    template = file.metadata.get("tokenizer.chat_template")
    if template is not None:
        if not isinstance(template, str) or len(template.encode()) > MAX_TEMPLATE:
            raise bad(file, f"has a chat template over the limit of {MAX_TEMPLATE:,} bytes")
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _strings(file: File, name: str) -> list[str]:
    value = file.metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, list) or not value:
        raise bad(file, f"has no tokenizer {name}")
    return value


def _choice(file: File, name: str, known: tuple[str, ...]) -> str:
    value = file.metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, str) or value not in known:
        raise bad(file, f"has a tokenizer of kind {value!r:.40}; known are {', '.join(known)}")
    return value
