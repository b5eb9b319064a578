"""Every kind of tokenizer that models come with gives the ids that transformers gives, on whatever is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_holes.engine.checkpoint import gguf
from llm_holes.engine.checkpoint.gguf_tokenizer import LLAMA3, TEKKEN, write_tokenizer
from llm_holes.engine.tokenizer.backend import QWEN2
from llm_holes.engine.tokenizer.tokenizer import Tokenizer
from tests.support import tokenizer_kinds as kinds
from tests.support.soak import examples

NAMED = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
CHAT = {"eos_token": "<|im_end|>"}
GENERAL = {"tokenizer_class": "PreTrainedTokenizerFast", **CHAT}


def folder(made: Callable[[], Any], config: dict[str, Any], model_type: str = "llama") -> Callable[[Path], Any]:
    def write(path: Path) -> Any:
        return kinds.write_folder(path, made(), config, model_type=model_type)

    return write


def beside(made: Callable[[], Any], config: dict[str, Any], named: dict[str, Any], added: dict[str, int]) -> Any:
    """The same, with what older versions of transformers wrote into files of their own."""

    def write(path: Path) -> Any:
        (path / "special_tokens_map.json").write_text(json.dumps(named))
        (path / "added_tokens.json").write_text(json.dumps(added))
        return kinds.write_folder(path, made(), config)

    return write


def of_class(name: str, **config: Any) -> dict[str, Any]:
    return {"tokenizer_class": name, **config}


LISTED = {
    "1": {"content": "<|im_start|>", "special": True, "normalized": False},
    "2": {"content": "</s>", "special": False, "normalized": True, "rstrip": True},
    "600": {"content": "<tool>", "lstrip": True, "normalized": False, "single_word": True, "special": False},
}
MAP = {"pad_token": {"content": "<pad>", "lstrip": True, "normalized": False}, "additional_special_tokens": ["<tool>"]}
KINDS: dict[str, Callable[[Path], Any]] = {
    "gpt-2": folder(kinds.byte_level, GENERAL),
    "digits": folder(lambda: kinds.byte_level(kinds.digits()), GENERAL),
    "digits, by its class": folder(lambda: kinds.byte_level(kinds.digits()), of_class("GPT2Tokenizer")),
    "llama 3": folder(lambda: kinds.byte_level(kinds.regex(LLAMA3), first=True), of_class("LlamaTokenizerFast")),
    "qwen": folder(lambda: kinds.byte_level(kinds.regex(QWEN2)), of_class("Qwen2Tokenizer"), "qwen2"),
    "qwen, no class": folder(kinds.byte_level, {}, "qwen3"),
    "tekken": folder(lambda: kinds.byte_level(kinds.regex(TEKKEN)), of_class("LlamaTokenizer"), "mistral"),
    "gpt-neox": folder(kinds.byte_level, of_class("GPTNeoXTokenizer", add_bos_token=True), "gpt_neox"),
    "prefix space": folder(kinds.byte_level, of_class("GPT2Tokenizer", add_prefix_space=True), "gpt2"),
    "sentencepiece": folder(kinds.space_bpe, {**GENERAL, **NAMED}),
    "sentencepiece, llama": folder(kinds.space_bpe, of_class("LlamaTokenizer", add_bos_token=True, **NAMED)),
    "sentencepiece, legacy": folder(kinds.space_bpe, of_class("LlamaTokenizerFast", legacy=True, **NAMED)),
    "sentencepiece, no prefix": folder(kinds.space_bpe, of_class("LlamaTokenizer", add_prefix_space=False)),
    "sentencepiece, phi-3": folder(kinds.space_bpe, of_class("LlamaTokenizer", legacy=False, **NAMED), "phi3"),
    "sentencepiece, gemma": folder(kinds.space_bpe, of_class("GemmaTokenizer", **NAMED), "gemma2"),
    "listed": folder(kinds.byte_level, {**GENERAL, "added_tokens_decoder": LISTED, "image_token": "<image>"}),
    "listed, by its class": folder(kinds.space_bpe, of_class("LlamaTokenizer", added_tokens_decoder=LISTED, **NAMED)),
    "named": folder(kinds.byte_level, {**GENERAL, "pad_token": "<pad>", "additional_special_tokens": ["<tool>", "ab"]}),
    "named by name": folder(kinds.byte_level, {**GENERAL, "extra_special_tokens": {"image_token": "<image>"}}),
    "named elsewhere": beside(kinds.byte_level, GENERAL, MAP, {"<tool>": 501, "<image>": 500}),
    "named elsewhere, by its class": beside(kinds.space_bpe, of_class("LlamaTokenizer"), MAP, {"<tool>": 600}),
    "unigram": folder(kinds.unigram, {**GENERAL, "unk_token": "<unk>", "eos_token": "</s>"}),
}
GGUFS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("llama", "llama", {}),
    "llama, no bos": ("llama", "llama", {"add_bos_token": False}),
    "llama, eos": ("llama", "llama", {"add_bos_token": True, "add_eos_token": True}),
    "gemma": ("llama", "gemma2", {}),
    "phi-3": ("llama", "phi3", {}),
    "t5": ("t5", "llama", {}),
    "t5, bos": ("t5", "llama", {"add_bos_token": False, "add_eos_token": False}),
}


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any]:
    from transformers import AutoTokenizer

    path = KINDS[request.param](tmp_path_factory.mktemp("kind"))
    return Tokenizer.load(path), AutoTokenizer.from_pretrained(path)


@pytest.fixture(scope="module", params=GGUFS)
def both_of_gguf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any]:
    from transformers import AutoTokenizer

    kind, architecture, keys = GGUFS[request.param]
    path = tmp_path_factory.mktemp("gguf")
    kinds.write_gguf(path / "m.gguf", kind, architecture, **keys)
    write_tokenizer(gguf.read(path / "m.gguf"), path)
    return Tokenizer.load(path), AutoTokenizer.from_pretrained(path, gguf_file="m.gguf")


PARTS = [
    "<s>",
    "<tool>",
    "<image>",
    "ab",
    "</s>",
    "<unk>",
    "<|im_end|>",
    "<pad>",
    "<0x41>",
    " ",
    "  ",
    "\n",
    "\t",
    "\u2581",
    "a",
    " the",
    "Alice",
]
PARTS += ["12", " 1865", "I'LL", "é", "e\u0301", "ﬁ", "你好", "😀", "👩‍👩‍👧", "\u00a0", "\u200b", "\x00", ".", "\r\n"]
texts = st.text() | st.lists(st.sampled_from(PARTS)).map("".join)
soaked = settings(
    max_examples=examples(100), deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def whole(tokenizer: Tokenizer, text: str) -> list[int]:
    """As transformers reads a text: special tokens in it are special."""
    return [*tokenizer.begin, *tokenizer.encode(text, specials=True), *tokenizer.close]


@soaked
@given(text=texts)
def test_ids_are_those_of_transformers(both: tuple[Tokenizer, Any], text: str) -> None:
    tokenizer, reference = both
    assert whole(tokenizer, text) == reference(text)["input_ids"]


@pytest.mark.parametrize("text", ["hi", "a</s><s>  b", "<s>", " </s> "])
def test_what_is_typed_neither_ends_a_turn_nor_moves_a_space(text: str, tmp_path: Path) -> None:
    template = "{% for m in messages %}<s>[{{ m.content }}]</s>{% endfor %}"
    config = of_class("LlamaTokenizer", chat_template=template, **NAMED)
    tokenizer = Tokenizer.load(kinds.write_folder(tmp_path, kinds.space_bpe(), config))
    messages = [{"role": "user", "content": content} for content in (text, "ok")]
    ids = tokenizer.chat_ids(messages)
    assert tokenizer.decode(ids) == tokenizer.chat(messages)
    assert [i for i in ids if i in tokenizer.special_ids] == [1, 2, 1, 2]
    assert tokenizer.encode("hi") == tokenizer.encode(" hi"), "the space in front is there again afterwards"


@soaked
@given(text=texts)
def test_ids_from_a_gguf_file_are_those_of_transformers(both_of_gguf: tuple[Tokenizer, Any], text: str) -> None:
    tokenizer, reference = both_of_gguf
    assert whole(tokenizer, text) == reference(text)["input_ids"]
