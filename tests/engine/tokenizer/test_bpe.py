"""Our byte-pair encoding against two other programs on the same vocabulary, and what it is not: longest match."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_holes.engine.checkpoint.convert import convert
from llm_holes.engine.checkpoint.installed import ModelFiles
from llm_holes.engine.errors import InputError
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import longest_match, steps
from llm_holes.engine.tokenizer.bpe_train import train
from llm_holes.engine.tokenizer.tiktoken_bridge import Twin
from llm_holes.engine.tokenizer.tokenizer import Tokenizer
from tests.support import tiny_gguf
from tests.support.clock import growth

# characters of a later Unicode than a library's are letters to one and unknown to another
ASSIGNED = st.characters(exclude_categories=("Cs", "Cn"))
WORDS = ["don't", "I'LL", "12", "½", "日本", "👩\u200d🚀", "🇫🇷", "é", "a\u0301", "\x16", " pothole", "<|im_end|>"]
PIECES = st.sampled_from([*WORDS, "  ", "   \n", "\t\t", "x" * 60])
TEXTS = st.lists(st.text(ASSIGNED, max_size=12) | PIECES | st.text("ab \n'", max_size=20), max_size=8).map("".join)


@pytest.fixture(scope="module")
def bpe(model_files: ModelFiles) -> BPE:
    return BPE.load(model_files.folder)


@pytest.fixture(scope="module")
def reference(model_files: ModelFiles) -> Tokenizer:
    return Tokenizer.load(model_files.folder)


@pytest.fixture(scope="module")
def twin(bpe: BPE) -> Twin:
    return Twin(bpe)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(TEXTS)
def test_same_ids_as_the_hugging_face_library(bpe: BPE, reference: Tokenizer, text: str) -> None:
    assert bpe.encode(text) == reference.encode(text)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(TEXTS)
def test_same_ids_as_tiktoken(bpe: BPE, twin: Twin, text: str) -> None:
    kept = "".join(c for c in text if all(bytes([byte]) in bpe.vocabulary for byte in c.encode()))
    assert twin.encode(kept) == bpe.encode(kept)


@pytest.mark.parametrize("unit", ["x", "ab", " ", "日"])
def test_one_word_of_a_hundred_thousand_bytes(bpe: BPE, reference: Tokenizer, twin: Twin, unit: str) -> None:
    word = unit * (100_000 // len(unit.encode()))
    assert bpe.encode(word) == reference.encode(word) == twin.encode(word)
    assert growth(lambda size: bpe.encode("x" * size), 10_000, 8) < 24, "n log n, not n squared"


def test_bytes_without_a_token_are_dropped_inside_a_word(bpe: BPE, reference: Tokenizer) -> None:
    absent = next(chr(b) for b in range(32) if bytes([b]) not in bpe.vocabulary)
    assert bpe.encode(f"!{absent}!") == reference.encode(f"!{absent}!") == reference.encode("!!")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(ASSIGNED, max_size=30) | PIECES)
def test_stepping_ends_where_encoding_does(bpe: BPE, text: str) -> None:
    for word in bpe.words(text):
        merges = list(steps(bpe, word))
        assert list(merges[-1].pieces if merges else bpe.spelt(word)) == bpe.encode_word(word)
        sizes = [len(bpe.spelt(word)), *(len(step.pieces) for step in merges)]
        assert sizes == list(range(sizes[0], sizes[0] - len(sizes), -1)), "one piece fewer each time"


@pytest.mark.parametrize(
    ("word", "real", "longest"),
    [
        (" pothole", " p|oth|ole", " pot|hole"),
        (" unthinkable", " un|think|able", " unt|hin|ka|ble"),
        (" seashore", " se|ash|ore", " seas|hore"),
    ],
)
def test_it_is_not_longest_match(bpe: BPE, reference: Tokenizer, word: str, real: str, longest: str) -> None:
    for ids, cut in ((reference.encode(word), real), (longest_match(bpe, word.encode()), longest)):
        assert "|".join(reference.decode([i]) for i in ids) == cut


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TEXTS)
@pytest.mark.parametrize("rules", ["smollm", "llama-bpe", "qwen2"])
def test_other_models_rules(tmp_path_factory: pytest.TempPathFactory, rules: str, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / rules
    if not folder.exists():
        folder.mkdir()
        tiny_gguf.write_gguf(folder / "m.gguf", pre=rules)
        convert(folder / "m.gguf", folder, lambda done, total: None)
    own, library = BPE.load(str(folder)), Tokenizer.load(folder)
    assert own.encode(text) == library.encode(text) == Twin(own).encode(text)


def test_a_tokenizer_that_does_not_merge_bytes_is_refused(tmp_path: Path) -> None:
    file = {"model": {"type": "Unigram", "vocab": []}, "pre_tokenizer": {"type": "Metaspace"}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(file))
    with pytest.raises(InputError, match="does not merge bytes"):
        BPE.load(str(tmp_path))


def test_training_joins_the_most_frequent_pair_first() -> None:
    learnt = list(train([b"low"] * 5 + [b"lower"] * 2 + [b"newest"] * 6, 3))
    assert [(x.left + x.right, x.count) for x in learnt] == [(b"we", 8), (b"lo", 7), (b"ewe", 6)]
    assert [x.pieces for x in learnt] == [61 - 8, 61 - 15, 61 - 21]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.binary(min_size=1, max_size=8), max_size=12))
def test_training_never_loses_a_byte_and_stops_when_nothing_repeats(words: list[bytes]) -> None:
    learnt = list(train(words, 1000))
    sizes = [sum(map(len, words)), *(x.pieces for x in learnt)]
    assert all(a > b for a, b in pairwise(sizes))
    assert all(x.count >= 2 for x in learnt)
