"""The SentencePiece vocabularies of GGUF files: BPE with bytes to fall back to, and unigram. Torch-free.

A GGUF file has pieces and scores, no merges and no rules of cutting: both follow from its kind, as in transformers
(`integrations/gguf`) and llama.cpp (`llm_tokenizer_spm`, `llm_tokenizer_ugm`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from llm_holes.engine.checkpoint.gguf import File
from llm_holes.engine.errors import ModelError
from llm_holes.engine.tokenizer.backend import SPACE, gemma, sentencepiece, with_rules

GEMMA = ("gemma", "gemma2", "gemma3")
MAX_PIECE = 512
MAX_CHARACTERS = 2**22
UNKNOWN = 2
"""The unknown piece of a unigram file that does not say which it is, as in llama.cpp."""


def sentencepiece_bpe(file: File, tokens: list[str]) -> Tokenizer:
    """BPE on characters with spaces as `\u2581`, as of Llama 2, Mistral, Gemma and Phi-3."""
    architecture = file.metadata.get("general.architecture")
    scores = _scores(file, tokens)
    if architecture in GEMMA:
        # spaces in a row are spelt as such, and the merges were learnt in the order of the pieces
        tokens = [SPACE * len(token) if token and not token.strip(" ") else token for token in tokens]
        scores = {token: -float(index) for index, token in enumerate(tokens)}
    vocabulary = {token: index for index, token in enumerate(tokens)}
    listed = file.metadata.get("tokenizer.ggml.merges")
    if isinstance(listed, list):
        pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in listed)]
    else:
        pairs = merges(file, vocabulary, scores)
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    if architecture in GEMMA:
        return with_rules(plain, gemma({}), "<unk>")
    prefix = file.metadata.get("tokenizer.ggml.add_space_prefix", True)
    rules = sentencepiece("first" if prefix else "never")
    if architecture == "phi3" and prefix:
        steps = [normalizers.Prepend(prepend=SPACE), normalizers.Replace(" ", SPACE)]
        rules = rules._replace(normalizer=normalizers.Sequence(steps), pre_tokenizer=None)
    return with_rules(plain, rules, "")


def sentencepiece_unigram(file: File, tokens: list[str]) -> Tokenizer:
    """Unigram, as of T5: of all ways to cut a text the one whose pieces have the highest scores."""
    unknown = file.metadata.get("tokenizer.ggml.unknown_token_id", UNKNOWN)
    pieces = list(_scores(file, tokens).items())
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=int(unknown), byte_fallback=False))
    characters = file.metadata.get("tokenizer.ggml.precompiled_charsmap")
    if isinstance(characters, np.ndarray) and characters.size:
        tokenizer.normalizer = normalizers.Precompiled(characters.tobytes())
    prepend: Any = "always" if file.metadata.get("tokenizer.ggml.add_space_prefix", True) else "never"
    cut: list[Any] = [pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=prepend)]
    if file.metadata.get("tokenizer.ggml.remove_extra_whitespaces", True):
        cut.insert(0, pre_tokenizers.WhitespaceSplit())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(cut)
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme=prepend)
    return tokenizer


def merges(file: File, vocabulary: Mapping[str, int], scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """The pairs of pieces that make another piece, those that make the one with the highest score first.

    Raises ModelError for pieces so long that looking at each of their halves would take for ever.
    """
    if sum(map(len, vocabulary)) > MAX_CHARACTERS or max(map(len, vocabulary)) > MAX_PIECE:
        raise bad(file, f"has pieces of more than {MAX_PIECE} characters, or {MAX_CHARACTERS:,} in all")
    found = [
        (-scores[whole], -len(left), -len(right), left, right)
        for whole in vocabulary
        for left, right in _halves(whole, vocabulary)
    ]
    # stable, so that pairs alike in all three stay in the order of the vocabulary
    found.sort(key=lambda pair: pair[:3])
    return [(left, right) for *_, left, right in found]


def _halves(whole: str, vocabulary: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    pairs = [(whole[:at], whole[at:]) for at in range(1, len(whole))]
    known = [pair for pair in pairs if pair[0] in vocabulary and pair[1] in vocabulary]
    yield from sorted(known, key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))


def _scores(file: File, tokens: list[str]) -> dict[str, float]:
    scores = file.metadata.get("tokenizer.ggml.scores")
    if not isinstance(scores, np.ndarray) or scores.dtype.kind != "f" or len(scores) != len(tokens):
        raise bad(file, "has no score for each of its tokens")
    if not np.isfinite(scores).all():
        raise bad(file, "has scores of its tokens that are no numbers")
    return dict(zip(tokens, map(float, scores), strict=True))


def bad(file: File, what: str) -> ModelError:
    return ModelError(
        f"{file.path.name} {what}",
        "Use the model's Hugging Face folder (with tokenizer.json) instead of this GGUF file.",
    )
