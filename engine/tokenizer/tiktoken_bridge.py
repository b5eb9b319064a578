"""The model's own vocabulary inside tiktoken: another program, which must give the same ids."""

from __future__ import annotations

from typing import Any

import tiktoken

from llm_holes.engine.errors import InputError
from llm_holes.engine.tokenizer.bpe import BPE

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# each digit is cut off before GPT-2's pattern sees what is left, so that spaces before one are the end of a text to it
SINGLE_DIGITS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\p{N}|\s+(?![^\s\p{N}])|\s+"


class Twin:
    """tiktoken with the pieces of a BPE and their ids as ranks, cutting words by the pattern of tokenizer.json."""

    def __init__(self, bpe: BPE) -> None:
        """Raises InputError if the words are cut by rules that no one pattern stands for."""
        self._bpe = bpe
        absent = [bytes([byte]) for byte in range(256) if bytes([byte]) not in bpe.vocabulary]
        # tiktoken wants an id for every byte; those the model lacks are numbered after the rest and dropped again
        self._end = max(bpe.vocabulary.values()) + 1
        ranks = bpe.vocabulary | {byte: self._end + n for n, byte in enumerate(absent)}
        self._encoding = tiktoken.Encoding(
            "twin", pat_str=pattern(bpe.pre_tokenizer), mergeable_ranks=ranks, special_tokens={}
        )

    def encode(self, text: str) -> list[int]:
        ids = self._encoding.encode_ordinary(self._bpe.normalized(text))
        return ids if max(ids, default=0) < self._end else [i for i in ids if i < self._end]


def pattern(rules: dict[str, Any]) -> str:
    """The regular expression that cuts as these pre-tokenizer rules of tokenizer.json do. Raises InputError."""
    steps = [rule for rule in rules.get("pretokenizers", [rules]) if rule["type"] != "ByteLevel" or rule["use_regex"]]
    kinds = [rule["type"] for rule in steps]
    if kinds == ["Split"] and steps[0]["behavior"] == "Isolated" and "Regex" in steps[0]["pattern"]:
        return str(steps[0]["pattern"]["Regex"])
    if kinds == ["ByteLevel"]:
        return GPT2
    if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"]:
        return SINGLE_DIGITS
    raise InputError(f"tiktoken cannot cut words by {' and then '.join(kinds)}", "Choose another model.")
