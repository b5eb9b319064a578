"""Model files with something wrong in them, by a seed: what a learner's disk, editor or download may leave behind."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llm_holes.engine.checkpoint import gguf
from tests.support import family_gguf, tiny_gguf
from tests.support import tokenizer_kinds as kinds
from tests.support.tiny_families import write_family

ODD: list[Any] = [None, 0, 1, -1, 2, 3.5, 1e999, -1e999, "", "x", "\u2581", "<s>", [], {}, [1], [[]], {"a": 1}, True]
ODD += [False, 2**31, 2**32, 2**40, 2**63, 10**30, "mistral", 64, "x" * 10_000, [0] * 5_000, "\x00", "\ud800", 0.5]
ODD += [{"type": "Sequence", "normalizers": []}, {"quant_method": [1]}, ["full_attention"] * 2, "F16", [64, 64]]
NUMBER = b'0123456789-.eE,:[]{}"\x00\xff\x7f '
TOKENIZERS = ("byte", "space", "unigram")
FAMILIES = ("gemma3-window", "gpt2", "mixtral", "phi3", "granite", "neox")
"""Variants whose config and tensors are farthest from Llama's."""
Made = Callable[[random.Random, Path], Path]


def node(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """A place in a JSON value: something that holds others, and a key of it."""
    while True:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        inner = value[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.3:
            return value, key
        value = inner


def change(value: Any, rng: random.Random) -> None:
    """One to three changes somewhere in a JSON value: another value, one less, one more."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        if not value:
            return
        place, key = node(value, rng)
        match rng.randrange(6):
            case 0:
                del place[key]
            case 1 if isinstance(place, dict):
                place[rng.choice(["auto_map", "rope_scaling", "type", "x", "sliding_window", "vocab"])] = rng.choice(
                    ODD
                )
            case 2 if isinstance(place, list):
                place.append(rng.choice(ODD))
            case _:
                place[key] = rng.choice(ODD)


def flipped(data: bytes, rng: random.Random, end: int) -> bytes:
    """Up to four bytes changed among the first `end`, or the rest cut off."""
    content = bytearray(data)
    if rng.random() < 0.1:
        return bytes(content[: rng.randrange(end)])
    for _ in range(rng.randint(1, 4)):
        content[rng.randrange(end)] = rng.choice([rng.randrange(256), rng.choice(NUMBER)])
    return bytes(content)


def damage_json(path: Path, rng: random.Random) -> None:
    if rng.random() < 0.2:
        data = path.read_bytes()
        path.write_bytes(flipped(data, rng, len(data)))
        return
    value = json.loads(path.read_bytes())
    change(value, rng)
    path.write_text(json.dumps(value), encoding="utf-8", errors="surrogatepass")


class Seeds:
    """Whole models to start from, made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rope = {"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
        bytes_, spaces, unigram = kinds.byte_level(), kinds.space_bpe(), kinds.unigram()
        named = {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "added_tokens_decoder": {"1": {"content": "<s>"}},
        }
        kinds.write_model(folder / "byte", bytes_, {"tokenizer_class": "Qwen2Tokenizer"}, rope_scaling=rope)
        kinds.write_model(folder / "space", spaces, {"tokenizer_class": "LlamaTokenizer", **named}, sliding_window=None)
        kinds.write_model(folder / "unigram", unigram, {"tokenizer_class": "PreTrainedTokenizerFast"}, head_dim=16)
        for name in TOKENIZERS:
            (folder / name / "special_tokens_map.json").write_text(json.dumps({"pad_token": "<pad>"}))
            (folder / name / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 1]}))
        tiny_gguf.write_gguf(folder / "byte.gguf")
        kinds.write_gguf(folder / "space.gguf", "llama")
        kinds.write_gguf(folder / "unigram.gguf", "t5")
        for variant in FAMILIES:
            write_family(folder / variant, variant)
            family_gguf.write(folder / f"{variant}.gguf", family_gguf.model_for(variant))

    def _copy(self, rng: random.Random, out: Path, among: Sequence[str] = TOKENIZERS) -> Path:
        return Path(shutil.copytree(self.folder / rng.choice(among), out))

    def config(self, rng: random.Random, out: Path) -> Path:
        folder = self._copy(rng, out, (*TOKENIZERS, *FAMILIES))
        damage_json(folder / rng.choice(["config.json"] * 4 + ["generation_config.json"]), rng)
        return out

    def tokenizer(self, rng: random.Random, out: Path) -> Path:
        names = ["tokenizer.json"] * 3 + ["tokenizer_config.json"] * 2 + ["special_tokens_map.json"]
        damage_json(self._copy(rng, out) / rng.choice(names), rng)
        return out

    def safetensors(self, rng: random.Random, out: Path) -> Path:
        path = self._copy(rng, out, (*TOKENIZERS, *FAMILIES)) / "model.safetensors"
        data = path.read_bytes()
        length = 8 + int.from_bytes(data[:8], "little")
        if rng.random() < 0.3:
            path.write_bytes(flipped(data, rng, length))
            return out
        header = json.loads(data[8:length])
        change(header, rng)
        text = json.dumps(header).encode("utf-8", "surrogatepass")
        path.write_bytes(len(text).to_bytes(8, "little") + text + data[length:])
        return out

    def gguf(self, rng: random.Random, out: Path) -> Path:
        out.mkdir()
        path = self.folder / f"{rng.choice((*TOKENIZERS, *FAMILIES))}.gguf"
        # its numbers are left alone: among huge ones no two programs come to the same logits
        header = min(tensor.offset for tensor in gguf.read(path).tensors.values())
        (out / "m.gguf").write_bytes(flipped(path.read_bytes(), rng, header))
        return out / "m.gguf"

    @property
    def kinds(self) -> dict[str, Made]:
        return {"config": self.config, "tokenizer": self.tokenizer, "safetensors": self.safetensors, "gguf": self.gguf}
