"""Tiny tokenizers of every kind that models come with, trained on a page of English, as folders and as GGUF files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gguf import GGUFWriter, TokenType
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from llm_holes.lessons.shared.passage import passage
from tests.support import tiny_gguf

SPACE = "\u2581"
ENDS = ["<unk>", "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
Merges = list[tuple[str, str]]


@cache
def byte_pieces() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The vocabulary and the merges of a byte-level BPE, special tokens first."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, special_tokens=CHAT, initial_alphabet=alphabet)
    made.train_from_iterator([passage()], trainer)
    return _pieces(made)


@cache
def space_pieces() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Those of a SentencePiece BPE, with its bytes."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, split=True)
    made.train_from_iterator([passage()], trainers.BpeTrainer(vocab_size=300, show_progress=False))
    tokens, merges = _pieces(made)
    return (*ENDS, *BYTES, *tokens, SPACE * 2), (*merges, (SPACE, SPACE))


@cache
def unigram_pieces() -> tuple[tuple[str, float], ...]:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE)
    trainer = trainers.UnigramTrainer(
        vocab_size=300, show_progress=False, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>"
    )
    made.train_from_iterator([passage()], trainer)
    return tuple((piece, score) for piece, score in json.loads(made.to_str())["model"]["vocab"])


def _pieces(made: Tokenizer) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    vocabulary = made.get_vocab()
    merges = json.loads(made.to_str())["model"]["merges"]
    return tuple(sorted(vocabulary, key=lambda token: vocabulary[token])), tuple((a, b) for a, b in merges)


def _ids(tokens: Sequence[str]) -> dict[str, int]:
    return {token: index for index, token in enumerate(tokens)}


def byte_level(cut: Any = None, normalizer: Any = None, first: bool = False) -> Tokenizer:
    tokens, merges = byte_pieces()
    made = Tokenizer(models.BPE(vocab=_ids(tokens), merges=list(merges), ignore_merges=first))
    made.pre_tokenizer = cut or pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    if normalizer:
        made.normalizer = normalizer
    made.add_special_tokens(CHAT)
    return made


def regex(pattern: str) -> Any:
    cut = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def digits() -> Any:
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def space_bpe() -> Tokenizer:
    """As the files of Llama 2 have it: the space in front comes from a normalizer."""
    tokens, merges = space_pieces()
    model = models.BPE(vocab=_ids(tokens), merges=list(merges), unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(steps)
    made.add_special_tokens(ENDS)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def unigram() -> Tokenizer:
    made = Tokenizer(models.Unigram([*unigram_pieces(), *((byte, -99.0) for byte in BYTES)], 2, True))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE)
    made.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(replacement=SPACE)])
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return made


def write_folder(folder: Path, made: Tokenizer, config: dict[str, Any], **model: Any) -> Path:
    """A folder without weights; `config` is its tokenizer_config.json, `model` are fields of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps(tiny_gguf.CONFIG | model))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def write_gguf(path: Path, kind: str, architecture: str = "llama", **keys: Any) -> Path:
    """A GGUF file whose tokenizer is of the kind `llama` or `t5`, and which has a model of that architecture; `keys`
    are added to those of the tokenizer."""
    writer = GGUFWriter(path, architecture)
    if kind == "llama":
        tokens, _ = space_pieces()
        scores = [0.0] * 259 + [-float(index) for index in range(len(tokens) - 259)]
        types = [TokenType.UNKNOWN, *[TokenType.CONTROL] * 2, *[TokenType.BYTE] * 256]
    else:
        tokens, scores = (list(column) for column in zip(*unigram_pieces(), strict=True))
        types = [TokenType.CONTROL, TokenType.CONTROL, TokenType.UNKNOWN]
    writer.add_tokenizer_model(kind)
    writer.add_token_list(list(tokens))
    writer.add_token_scores(scores)
    writer.add_token_types([*types, *[TokenType.NORMAL] * (len(tokens) - len(types))])
    ids = {"bos": 1, "eos": 2, "unknown": 0} if kind == "llama" else {"padding": 0, "eos": 1, "unknown": 2}
    for name, index in ids.items():
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", index)
    for name, value in keys.items():
        writer.add_bool(f"tokenizer.ggml.{name}", value)
    tiny_gguf.write_model(writer, architecture, len(tokens))
    return path


def write_model(folder: Path, made: Tokenizer, config: dict[str, Any], pad_rows: int = 0, **model: Any) -> Path:
    """A whole model: the tokenizer's folder with the weights for it, and with rows of the tables that no token has."""
    from safetensors.numpy import save_file

    rows = made.get_vocab_size() + pad_rows
    folder = write_folder(folder, made, config, **{"vocab_size": rows, **model})
    weights = tiny_gguf.weights("llama", rows)
    small = {name: value * (0.2 if value.ndim == 2 else 1) for name, value in weights.items()}
    save_file(small, folder / "model.safetensors", {"format": "pt"})
    return folder
