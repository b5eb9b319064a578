"""Byte-pair encoding written to be read: cut the text, spell each word in bytes, merge pairs in the order learnt.

Source: Sennrich et al. 2016; on bytes as in GPT-2 (Radford et al. 2019). Reads a Hugging Face tokenizer.json and gives
the ids its library gives.
"""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import Any

import tokenizers

from llm_holes.engine.disk.files import read_json
from llm_holes.engine.errors import InputError
from llm_holes.engine.tokenizer.tokenizer import bytes_of_characters

GONE = -1


class BPE:
    """`vocabulary` maps a piece's bytes to its id, `merges` a pair of ids to (rank, id of both together)."""

    def __init__(self, file: dict[str, Any]) -> None:
        """Takes a parsed tokenizer.json. Raises InputError if it is not a byte-level BPE."""
        model = file["model"]
        table = bytes_of_characters()
        if model.get("type") != "BPE" or '"ByteLevel"' not in json.dumps(file.get("pre_tokenizer")):
            raise InputError("this model's tokenizer does not merge bytes", "Choose a model with a byte-level BPE.")
        known = {piece: i for piece, i in model["vocab"].items() if all(c in table for c in piece)}
        self.vocabulary = {bytes(table[c] for c in piece): i for piece, i in known.items()}
        self.longest = max(map(len, self.vocabulary))
        pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
        self.merges = {(known[a], known[b]): (rank, known[a + b]) for rank, (a, b) in enumerate(pairs)}
        self.words_first = bool(model.get("ignore_merges"))
        self.pre_tokenizer: dict[str, Any] = file["pre_tokenizer"]
        self._cutter = _cutter(file)

    @classmethod
    def load(cls, folder: str) -> BPE:
        return cls(read_json(Path(folder) / "tokenizer.json"))

    def encode(self, text: str) -> list[int]:
        return [token for word in self.words(text) for token in self.encode_word(word)]

    def normalized(self, text: str) -> str:
        normalizer = self._cutter.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def words(self, text: str) -> list[bytes]:
        """The text cut where no merge may reach across, as the tokenizer's own rules cut it."""
        table = bytes_of_characters()
        cuts = self._cutter.pre_tokenizer.pre_tokenize_str(self.normalized(text))
        return [bytes(table[c] for c in word) for word, _ in cuts]

    def whole(self, word: bytes) -> bool:
        """Whether the word is looked up as it is; some tokenizers do so before they merge."""
        return self.words_first and word in self.vocabulary

    def spelt(self, word: bytes) -> list[int]:
        """One id per byte; a byte the vocabulary lacks is dropped, as the library does."""
        return [self.vocabulary[piece] for byte in word if (piece := bytes([byte])) in self.vocabulary]

    def encode_word(self, word: bytes) -> list[int]:
        """Always the pair that was learnt earliest, leftmost first, until no neighbours are a known pair.

        A heap gives the earliest pair, a linked list the neighbours, so n bytes take n·log n steps.
        """
        if self.whole(word):
            return [self.vocabulary[word]]
        pieces = self.spelt(word)
        before, after = list(range(-1, len(pieces) - 1)), list(range(1, len(pieces) + 1))
        waiting: list[tuple[int, int, int, int]] = []

        def offer(at: int) -> None:
            if at >= 0 and after[at] < len(pieces):
                pair = (pieces[at], pieces[after[at]])
                if pair in self.merges:
                    heapq.heappush(waiting, (self.merges[pair][0], at, *pair))

        for at in range(len(pieces)):
            offer(at)
        while waiting:
            _, at, left, right = heapq.heappop(waiting)
            other = after[at]
            if pieces[at] != left or other >= len(pieces) or pieces[other] != right:
                continue  # one of the two has been merged meanwhile
            pieces[at], pieces[other] = self.merges[left, right][1], GONE
            after[at] = after[other]
            if after[at] < len(pieces):
                before[after[at]] = at
            offer(at)
            offer(before[at])
        return [piece for piece in pieces if piece != GONE]


def _cutter(file: dict[str, Any]) -> tokenizers.Tokenizer:
    """The rules that cut a text into words, without the vocabulary."""
    empty = {"type": "BPE", "vocab": {}, "merges": []}
    kept = {name: file.get(name) for name in ("version", "normalizer", "pre_tokenizer")}
    return tokenizers.Tokenizer.from_str(json.dumps(kept | {"model": empty, "added_tokens": []}))
