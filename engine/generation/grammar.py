"""Constrained decoding: before each choice, the tokens that would leave a grammar get probability zero.

The grammar is walked byte by byte (llguidance), so a token that straddles two parts of it (`"}}`) is judged as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import llguidance
import numpy as np
import torch
from torch import Tensor

from llm_holes.engine.errors import InputError
from llm_holes.engine.tokenizer.tokenizer import Tokenizer


class Constraint:
    """Where in a grammar the text written so far is. Deterministic; knows nothing of the model's probabilities."""

    def __init__(self, tokenizer: Tokenizer, grammar: str, d_vocab: int) -> None:
        self._matcher = _compiled(tokenizer, grammar, d_vocab).deep_copy()
        self._d_vocab = d_vocab
        self._check()

    @property
    def finished(self) -> bool:
        """Whether the grammar allows nothing more: what is written is a whole sentence of it."""
        return bool(self._matcher.is_stopped())

    def allowed(self) -> Tensor:
        """Which tokens may come next, bool [d_vocab]."""
        bias = torch.as_tensor(np.frombuffer(self._matcher.compute_logit_bias(), np.uint8).copy())
        self._check()
        return bias[: self._d_vocab] > 0

    def forced(self) -> list[int]:
        """The tokens of what the grammar leaves no choice about, for instance all of `{"name": "`."""
        return list(self._matcher.compute_ff_tokens())

    @property
    def whole(self) -> bool:
        """Whether what is written could end here."""
        return bool(self._matcher.is_accepting())

    def takes(self, token: int) -> bool:
        """Takes the token if the grammar allows it; otherwise nothing changes."""
        return bool(self._matcher.try_consume_tokens([token]) == 1)

    def feed(self, token: int) -> None:
        """Takes a token that `allowed` allowed. Raises ValueError for another one."""
        if not self.takes(token):
            raise ValueError(f"token {token} is not allowed here")

    def _check(self) -> None:
        if self._matcher.is_error():
            raise InputError(f"the grammar cannot be followed: {self._matcher.get_error()}", "Use a simpler schema.")


def json_grammar(schema: Mapping[str, Any]) -> str:
    """The grammar of a JSON schema's values; `x-guidance` in it says how white space is written."""
    return str(llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)))


@lru_cache(maxsize=8)
def _compiled(tokenizer: Tokenizer, grammar: str, d_vocab: int) -> llguidance.LLMatcher:
    return llguidance.LLMatcher(_vocabulary(tokenizer, d_vocab), grammar)


@lru_cache(maxsize=2)
def _vocabulary(tokenizer: Tokenizer, d_vocab: int) -> llguidance.LLTokenizer:
    """The vocabulary as a trie of bytes; a third of a second to build."""
    return llguidance.LLTokenizer(tokenizer.to_json(), n_vocab=d_vocab, eos_token=sorted(tokenizer.eos_ids) or None)
