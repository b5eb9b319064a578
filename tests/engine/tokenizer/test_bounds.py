"""Tokenizer files that would make a short text a long one or a long wait are refused, soon and in little memory."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import normalizers

from llm_holes.engine.checkpoint import gguf_tokenizer
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.tokenizer.backend import QWEN2
from llm_holes.engine.tokenizer.bounds import MAX_ADDED, refuse_unbounded
from llm_holes.engine.tokenizer.patterns import measured
from llm_holes.engine.tokenizer.tokenizer import Tokenizer
from tests.support import tiny_gguf
from tests.support.memory import resident
from tests.support.tokenizer_kinds import byte_level, space_bpe, unigram

TEXT = "Alice was  beginning to get é very tired of 12 sitting 😀 " + "a" * 60 + " " + "x" * 60
SECONDS, BYTES = 2, 300 * 2**20


def replace(what: str, by: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": what}, "content": by}


def steps(*normalizers: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(normalizers)}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def charsmap(*texts: bytes) -> dict[str, Any]:
    data = (4).to_bytes(4, "little") + bytes(4) + b"\0".join(texts)
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}


def added(count: int) -> list[dict[str, Any]]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return [{"id": 1000 + n, "content": f"<{n}>", **flags} for n in range(count)]


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
PADDING = {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
AROUND = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "x", "type_id": 0}}] * 30_000,
    "pair": [],
    "special_tokens": {"x": {"id": "x", "ids": [1] * 100, "tokens": ["x"] * 100}},
}
HOSTILE: dict[str, dict[str, Any]] = {
    "text doubled 24 times": {"normalizer": steps(*[replace("e", "ee")] * 24)},
    "one letter a million": {"normalizer": replace("e", "e" * 10**6)},
    "a step without its type": {"normalizer": {"pattern": {"String": "e"}, "content": "e" * 10**6}},
    "something between any two letters": {"normalizer": replace("", "x" * 10**5)},
    "what matches nothing": {
        "normalizer": {"type": "Replace", "pattern": {"Regex": "x*"}, "content": "x" * 10**5},
    },
    "a million letters in front": {"normalizer": {"type": "Prepend", "prepend": "x" * 10**6}},
    "compiled rules": {"normalizer": charsmap(b"x", b"x" * 10**6)},
    "bytes of bytes": {"normalizer": steps(*[{"type": "ByteLevel"}] * 20)},
    "cut and spelt a hundred times": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTE_LEVEL] * 100}},
    "ten thousand steps": {"normalizer": steps(*[{"type": "NFC"}] * 10_000)},
    "steps in steps": {"normalizer": steps(steps(*[replace("e", "ee")] * 12), steps(*[replace("e", "ee")] * 12))},
    "many tokens around a text": {"post_processor": AROUND},
    "a token of a million letters": {
        "model": {"type": "BPE", "vocab": {"x" * 10**6: 0}, "merges": []},
    },
    "an unknown model": {"model": {"type": "Foo", "vocab": {}}},
    "no model": {"model": None},
    "an unknown step": {"normalizer": {"type": "Foo"}},
    "words without one for others": {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "x"}},
    "an id of no piece": {"model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 10**9}},
    "a pattern that is none": {"pre_tokenizer": split("(")},
}
SLOW = [
    "(a+)+$", "(.*)*x", r"(\w+\s?)*\d", r"(?:.?){40}.{40}\d", r"\p{L}*\p{L}*\p{L}*\d", "(x+x+)+y", "(a?){64}a{64}",
    r"((.)(?!\2))+", r"(?<a>x\g<a>?)", "(" * 200 + "a" + ")*" * 200, "(a{1,1000}){1,1000}b", "a{100000}",
    "[a-z]{1000}{1000}", "(?=.*)(?=.*).*x", "(?:(?:a|b*)*)*", "x" * 20_000, "a)(b+)+",
    ".*.*\u2603", r"\w+\w+$", "(a*b*)c", "(?=.*.*x)", ".{0,16}" * 5 + "x", ".?" * 20 + "x", "(?:a|b|.?){16}x",
]  # fmt: skip
USUAL = [
    gguf_tokenizer.LLAMA3, gguf_tokenizer.TEKKEN, gguf_tokenizer.GPT4O, QWEN2, *gguf_tokenizer.DEFAULT,
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*",
    "[一-龥぀-ゟ゠-ヿ]+", r" ?[^(\s|[.,!?…。，、।۔،])]+", r"(?=(\d{3})+(?!\d))",
    r"\p{N}{1,3}(?=(?:\p{N}{3})*(?:\P{N}|$))",
    r"[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|\s*[\r\n]|\s+(?!\S)|\s+", " {2,}", r"\s+", ".",
    r"[\p{Han}]+|[^\r\n\p{L}]?[\p{Lu}&&[^\p{Han}]]*[\p{Ll}&&[^\p{Han}]]+(?i:'s|'t)?", r"\d+\.\d+[eE]\d+", "[^]]+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+(?:'[sS]|'[tT])?", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
    r"<sentinel:[0-9]+>", r"([\t\n]|    |  )", r"[\p{P}!-/:-@\[-`{-~]", r"\p{N}{1}", r"[^\n]+|[\n]+",
    r"(https?://)?\w+", r"(?<=[a-z])(?=[A-Z])", "(?#a remark)x", "(?i)a|b", r"\x{1F600}+", "a+?b*+", "",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_gguf.write_folder(tmp_path / "m")


@pytest.fixture(autouse=True)
def bounded(folder: Path) -> Iterator[None]:
    """Whatever a test does takes little."""
    resident()
    before, start = resident(), time.process_time()
    yield
    assert time.process_time() - start < 2 * SECONDS
    assert resident() - before < BYTES


def changed(folder: Path, change: dict[str, Any]) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    return folder


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tokenizer_is_one_sentence(name: str, folder: Path) -> None:
    changed(folder, HOSTILE[name])
    with pytest.raises((ModelError, InputError)) as caught:
        Tokenizer.load(folder).encode(TEXT)
    assert 10 < len(str(caught.value)) < 400
    assert isinstance(caught.value, ModelError | InputError)
    assert caught.value.hint


@pytest.mark.parametrize("piece", [b'"a":1,', b"1,", b"[],", b"{},"], ids=["entries", "numbers", "lists", "objects"])
def test_a_file_that_would_fill_the_memory_is_refused_unparsed(piece: bytes, folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(b'{"normalizer":[' + piece * (30 * 2**20 // len(piece)))
    with pytest.raises(ModelError, match="the limit is"):
        Tokenizer.load(folder)


@pytest.mark.parametrize("pattern", SLOW)
def test_a_pattern_that_can_take_too_long_is_refused(pattern: str, folder: Path) -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Tokenizer.load(changed(folder, {"pre_tokenizer": split(pattern)}))


@pytest.mark.parametrize("pattern", USUAL)
def test_the_patterns_of_models_are_not(pattern: str) -> None:
    measured(pattern)


@pytest.mark.parametrize("padding", [{"strategy": {"Fixed": 10**9}}, {"strategy": "BatchLongest"}])
def test_padding_to_a_thousand_million_is_left_out(padding: dict[str, Any], folder: Path) -> None:
    changed(folder, {"padding": PADDING | {"pad_to_multiple_of": 10**9} | padding})
    assert len(Tokenizer.load(folder).encode("hello")) == 1


def test_of_two_rules_of_one_name_both_readers_take_the_last(folder: Path) -> None:
    path = folder / "tokenizer.json"
    text = path.read_text()
    hostile = f'"normalizer": {json.dumps(replace("e", "e" * 10**6))}'
    path.write_text(f"{{{hostile}, {text[1:]}")
    assert len(Tokenizer.load(folder).encode("hello")) == 1
    path.write_text(f"{text[:-1]}, {hostile}}}")
    with pytest.raises(ModelError, match="times as long"):
        Tokenizer.load(folder)


def test_added_tokens_are_counted(folder: Path) -> None:
    with pytest.raises(ModelError, match="added tokens"):
        Tokenizer.load(changed(folder, {"added_tokens": added(MAX_ADDED + 1)}))


@pytest.mark.parametrize("file", ["tokenizer_config.json", "added_tokens.json"])
def test_tokens_that_other_files_add_are_counted_too(file: str, folder: Path) -> None:
    many = {f"<{n}>": 300 + n for n in range(MAX_ADDED + 1)}
    value = many if file == "added_tokens.json" else {"extra_special_tokens": list(many)}
    (folder / file).write_text(json.dumps(value))
    with pytest.raises(ModelError, match="added tokens"):
        Tokenizer.load(folder)


def test_the_rules_that_models_have_are_no_growth() -> None:
    for kind in (byte_level(), space_bpe(), unigram()):
        refuse_unbounded(kind.to_str().encode())
    made = unigram()
    made.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(" ", "\u2581"), normalizers.Prepend("\u2581")]
    )
    refuse_unbounded(made.to_str().encode())
