"""Constrained decoding: whatever is drawn, what comes out is a call that fits its tool."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.generation import grammar
from llm_holes.engine.generation.grammar import Constraint, json_grammar
from llm_holes.engine.generation.sampling import SamplingParams, masked
from llm_holes.engine.harness import tools
from llm_holes.engine.harness.call_grammar import any_call_grammar, call_grammar
from llm_holes.engine.harness.calls import Call, parse
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.write import LanguageModel, write
from llm_holes.engine.tokenizer.tokenizer import Detokenizer

ALL = (tools.calculator(), tools.clock(), tools.text_stats(), tools.lookup({}), tools.read_file(Path()))
GRAMMAR = call_grammar(ALL)


def constraint(engine: Engine) -> Constraint:
    return Constraint(engine.tokenizer, GRAMMAR, engine.info.d_vocab)


def drawn(engine: Engine, seed: int, forced: bool) -> str:
    """A text drawn with every allowed token equally likely: the wildest sampling there is."""
    rng = random.Random(seed)
    state, out = constraint(engine), Detokenizer(engine.tokenizer)
    text = ""
    while not state.finished:
        tokens = state.forced() if forced else []
        if not tokens:
            allowed = state.allowed().nonzero().flatten()
            tokens = [int(allowed[rng.randrange(len(allowed))])]
        for token in tokens:
            state.feed(token)
            text += out.feed(token)
    return text + out.flush()


def test_a_thousand_of_a_thousand_random_samplings_parse_and_fit(engine: Engine) -> None:
    found = [parse(drawn(engine, seed, forced=seed % 2 == 0), ALL) for seed in range(1000)]
    assert sum(isinstance(call, Call) for call in found) == 1000
    assert {call.tool.name for call in found if isinstance(call, Call)} == {tool.name for tool in ALL}


@dataclass
class Noise:
    """A model that wants something else at every step, and wants it badly."""

    vocabulary: int
    generator: torch.Generator

    def logits(self, ids: Sequence[int]) -> Tensor:
        return torch.randn(self.vocabulary, generator=self.generator) * 20


def sampled(engine: Engine, model: LanguageModel, temperature: float, seed: int, **filters: float) -> Call:
    params = SamplingParams(temperature=temperature, seed=seed, **filters)  # type: ignore[arg-type]
    prompt = engine.chat("What is 17 * 23?")
    written = list(write(model, engine.tokenizer, prompt, params, 400, constraint(engine)))
    call = parse("".join(token.text for token in written), ALL)
    assert isinstance(call, Call)
    assert written[-1].stop == "grammar"
    return call


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 2.0, 100.0])
def test_the_sampler_never_leaves_the_grammar(engine: Engine, temperature: float) -> None:
    noise = Noise(engine.info.d_vocab, torch.Generator().manual_seed(1))
    for seed in range(6):
        sampled(engine, noise, temperature, seed, top_k=seed * 7, top_p=1.0 - seed / 10, min_p=seed / 100)


def test_the_real_model_never_leaves_it_either(engine: Engine) -> None:
    model = PrefixCachedModel(engine.model)
    for seed, temperature in enumerate((0.0, 0.7, 1.5, 3.0)):
        sampled(engine, model, temperature, seed)


def test_tokens_that_straddle_parts_of_the_grammar_are_allowed(engine: Engine) -> None:
    state = constraint(engine)
    for token in engine.tokenizer.encode('{"name": "calculator", "arguments": {"expression": "7'):
        assert state.allowed()[token]
        state.feed(token)
    end = engine.tokenizer.encode('"}}')
    assert len(end) == 2, "here the tokenizer joins both brackets"
    for token in end:
        assert state.allowed()[token]
        state.feed(token)
    assert state.finished
    with pytest.raises(ValueError, match="not allowed"):
        state.feed(end[0])


@pytest.mark.parametrize(
    ("text", "possible"),
    [(' {"name": "clock", "arguments": {}}', True), ('{"arguments":{},\n "name" : "clock"}', True),
     ('{"name": "lookup", "arguments": {"key": "a\\u0041\\n"}}', True), ('{"name": "shell"', False),
     ('{"name": "clock", "arguments": {"x"', False), ("The answer", False)],
)  # fmt: skip
def test_a_reader_along_knows_when_a_text_can_no_longer_become_a_call(
    engine: Engine, text: str, possible: bool
) -> None:
    state = Constraint(engine.tokenizer, any_call_grammar(ALL), engine.info.d_vocab)
    assert all(state.takes(token) for token in engine.tokenizer.encode(text)) is possible
    assert state.whole is possible
    assert isinstance(parse(text, ALL), Call) is possible


def test_a_mask_only_takes_away(engine: Engine) -> None:
    logits = torch.randn(engine.info.d_vocab)
    allowed = constraint(engine).allowed()
    assert 0 < int(allowed.sum()) < 20
    assert torch.equal(masked(logits, allowed)[allowed], logits[allowed])
    assert torch.isneginf(masked(logits, allowed)[~allowed]).all()


def test_a_forced_token_asks_the_model_nothing(engine: Engine) -> None:
    model = PrefixCachedModel(engine.model)
    prompt = engine.chat("What time is it?")
    written = list(write(model, engine.tokenizer, prompt, SamplingParams(), 400, constraint(engine)))
    assert [token.forced for token in written][:2] == [True, True]
    chosen = sum(not token.forced for token in written)
    assert 0 < chosen < len(written)
    assert model.tokens_read <= len(prompt) + len(written)


def test_a_schema_that_cannot_be_followed_is_refused(engine: Engine) -> None:
    with pytest.raises(InputError, match="grammar cannot be followed"):
        Constraint(engine.tokenizer, json_grammar({"type": "no such type"}), engine.info.d_vocab)


def test_a_vocabulary_is_built_once_for_all_runs_each_of_which_has_a_tokenizer_that_tells(engine: Engine) -> None:
    constraint(engine)
    before = grammar._vocabulary.cache_info().misses
    Constraint(engine.tokenizer.telling(lambda said: None), GRAMMAR, engine.info.d_vocab)
    assert grammar._vocabulary.cache_info().misses == before
