"""A GGUF file's vocabulary as Hugging Face tokenizer files. Torch-free."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_holes.engine.checkpoint.gguf import File
from llm_holes.engine.errors import ModelError
from llm_holes.engine.tokenizer.chat_template import MAX_TEMPLATE

if TYPE_CHECKING:
    from tokenizers import pre_tokenizers

CONTROL, USER_DEFINED = 3, 4

# How text is cut before merging, as published with each model's tokenizer; GGUF stores only the name of it.
WORDS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + WORDS
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + WORDS
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*|\p{{N}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "smaug-bpe"), LLAMA3),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2"), QWEN2),
    "tekken": TEKKEN,
}
SINGLE_DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")
GPT2 = ("gpt-2", "mpt", "olmo", "jais")
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
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    tokens, merges = _strings(file, "tokens"), _strings(file, "merges")
    known = (*SPLITS, *SINGLE_DIGITS, *GPT2)
    split = "default" if assumes_pre_tokenizer(file) else _choice(file, "pre", known)
    _choice(file, "model", ("gpt2",))
    if len(tokens) > file.tensors["token_embd.weight"].shape[0] or len(set(tokens)) != len(tokens):
        raise _bad(file, "has a vocabulary that does not fit its embedding")
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    try:
        model = models.BPE(
            vocab={token: i for i, token in enumerate(tokens)}, merges=pairs, ignore_merges=split in WHOLE_WORDS_FIRST
        )
    except Exception as error:  # the library raises bare Exception
        raise _bad(file, f"has merges that do not fit its vocabulary: {error}") from None
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = _pre_tokenizer(split)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = _post_processor(file, tokens, split)
    if split in COMPOSED:
        tokenizer.normalizer = normalizers.NFC()
    kinds = file.metadata.get("tokenizer.ggml.token_type", [])
    for token, kind in zip(tokens, kinds, strict=False):
        if kind in (CONTROL, USER_DEFINED):
            special = kind == CONTROL
            add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
            add([AddedToken(token, normalized=False, special=special)])
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    _write_config(file, tokens, folder)


def _pre_tokenizer(name: str) -> pre_tokenizers.PreTokenizer:
    from tokenizers import Regex, pre_tokenizers

    if name in GPT2:
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name in SINGLE_DIGITS:
        return pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    rules = DEFAULT if name == "default" else (SPLITS[name],)
    cuts: list[Any] = [pre_tokenizers.Split(Regex(rule), behavior="isolated") for rule in rules]
    return pre_tokenizers.Sequence([*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _post_processor(file: File, tokens: list[str], split: str) -> Any:
    """What is put in front of a text: the BOS, if the file says so or, saying nothing, is of a kind that has one."""
    from tokenizers import processors

    bos = file.metadata.get("tokenizer.ggml.bos_token_id")
    if not file.metadata.get("tokenizer.ggml.add_bos_token", split in WHOLE_WORDS_FIRST):
        return processors.ByteLevel(trim_offsets=False)
    if not isinstance(bos, int) or not 0 <= bos < len(tokens):
        return processors.ByteLevel(trim_offsets=False)
    return processors.TemplateProcessing(single=f"{tokens[bos]} $A", special_tokens=[(tokens[bos], bos)])


NONE = (-1, 2**32 - 1)
"""What files say for a special token that the model does not have."""


def _write_config(file: File, tokens: list[str], folder: Path) -> None:
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": bool(file.metadata.get("tokenizer.ggml.add_bos_token", False)),
    }
    for name, key in {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}.items():
        index = file.metadata.get(f"tokenizer.ggml.{key}_token_id")
        if index is None or index in NONE:
            continue
        if not isinstance(index, int) or not 0 <= index < len(tokens):
            raise _bad(file, f"names {index!r} as its {key} token")
        config[f"{name}_token"] = tokens[index]
    template = file.metadata.get("tokenizer.chat_template")
    if template is not None:
        if not isinstance(template, str) or len(template.encode()) > MAX_TEMPLATE:
            raise _bad(file, f"has a chat template over the limit of {MAX_TEMPLATE:,} bytes")
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _strings(file: File, name: str) -> list[str]:
    value = file.metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, list) or not value:
        raise _bad(file, f"has no tokenizer {name}")
    return value


def _choice(file: File, name: str, known: tuple[str, ...]) -> str:
    value = file.metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(value, str) or value not in known:
        raise _bad(file, f"has a tokenizer of kind {value!r:.40}; known are {', '.join(known)}")
    return value


def _bad(file: File, what: str) -> ModelError:
    return ModelError(
        f"{file.path.name} {what}",
        "Use the model's Hugging Face folder (with tokenizer.json) instead of this GGUF file.",
    )
