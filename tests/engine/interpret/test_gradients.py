"""Gradients equal those of transformers' own model and of finite differences; training writes into nothing."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys

import pytest
import torch

from llm_holes.engine.errors import Cancelled
from llm_holes.engine.interpret.gradients import (
    MAX_TOKENS,
    activation_bytes,
    finite_difference,
    gradients,
    log_probabilities,
    loss,
    losses_along,
    norm,
    norm_by_layer,
    sgd_step,
    training,
)
from llm_holes.engine.measure import fingerprint, loss_nats
from llm_holes.engine.model.decoder import Decoder
from tests.support.tiny_models import ours, reference

IDS = [5, 17, 3, 88, 41, 2, 60, 9]


@pytest.mark.parametrize("variant", ["llama", "llama-bias", "llama-mqa-tied", "qwen3"])
def test_every_gradient_is_that_of_transformers(variant: str) -> None:
    oracle = reference(variant)
    text = torch.tensor([IDS])
    expected = oracle(text, labels=text).loss
    expected.backward()
    found = gradients(ours(oracle), IDS)
    assert found.loss == pytest.approx(expected.item(), abs=1e-5)
    for name, parameter in oracle.named_parameters():
        g = found.by_name[name]
        assert torch.allclose(g, parameter.grad, atol=1e-4 * float(parameter.grad.abs().max()) + 1e-7), name


def test_the_loss_is_that_of_an_ordinary_forward_pass(tiny: Decoder) -> None:
    logits = tiny.forward(torch.tensor([IDS])).logits[0]
    assert loss(tiny, IDS) == pytest.approx(loss_nats(logits, torch.tensor(IDS)), abs=1e-5)
    log_p = logits.log_softmax(-1)[:-1].gather(-1, torch.tensor(IDS[1:])[:, None])[:, 0]
    assert torch.allclose(log_probabilities(tiny, IDS), log_p, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight", "model.embed_tokens.weight"]
)
def test_a_slope_is_what_two_losses_say(tiny: Decoder, name: str) -> None:
    g = gradients(tiny, IDS).by_name[name]
    direction = g / norm([g])
    assert finite_difference(tiny, IDS, name, direction, 1e-3) == pytest.approx(norm([g]), rel=5e-3)


def test_a_step_goes_down_by_what_the_gradient_says_and_writes_into_nothing(tiny: Decoder) -> None:
    hashed = fingerprint(tiny.weights)
    found = gradients(tiny, IDS)
    copies = {name: g.clone() for name, g in found.by_name.items()}
    before, slope = found.loss, norm(list(copies.values()))
    better = sgd_step(tiny, found, 1e-6)
    assert before - loss(better, IDS) == pytest.approx(1e-6 * slope**2, rel=0.2, abs=2e-6)
    further = sgd_step(tiny, gradients(tiny, IDS), 0.01)
    name = "model.layers.2.self_attn.v_proj.weight"
    assert torch.allclose(further.weights[name], tiny.weights[name] - 0.01 * copies[name])
    assert fingerprint(tiny.weights) == hashed
    first = fingerprint(further.weights)
    sgd_step(further, gradients(further, IDS), 0.01)
    assert fingerprint(further.weights) == first


def test_training_goes_where_single_steps_go_and_writes_into_its_own_copy_alone(tiny: Decoder) -> None:
    hashed = fingerprint(tiny.weights)
    model = tiny
    for step in training(tiny, IDS, 0.01, 3):
        assert torch.equal(step.log_p, log_probabilities(model, IDS).detach())
        assert all(torch.equal(step.model.weights[name], w) for name, w in model.weights.items())
        model = sgd_step(model, gradients(model, IDS), 0.01)
    assert fingerprint(tiny.weights) == hashed


def test_the_losses_along_a_gradient_are_those_of_steps_of_that_size(tiny: Decoder) -> None:
    found, rates = gradients(tiny, IDS), (0.003, 0.02)
    stepped = [loss(sgd_step(tiny, gradients(tiny, IDS), rate), IDS) for rate in rates]
    assert list(losses_along(tiny, IDS, found, rates)) == stepped


def test_norms_by_layer_make_up_the_whole(tiny: Decoder) -> None:
    found = gradients(tiny, IDS).by_name
    layers = norm_by_layer(found, 3)
    rest = norm([g for name, g in found.items() if ".layers." not in name])
    whole = sum(float(g.double().square().sum()) for g in found.values())
    assert sum(n * n for n in layers) + rest**2 == pytest.approx(whole, rel=1e-5)
    assert norm([]) == 0


def test_it_can_be_cancelled_in_the_middle_and_leaves_nothing_behind(tiny: Decoder) -> None:
    hashed, asked = fingerprint(tiny.weights), itertools.count()
    with pytest.raises(Cancelled):
        gradients(tiny.cancellable(lambda: next(asked) > 1), IDS)
    assert fingerprint(tiny.weights) == hashed
    assert not any(w.requires_grad or w.grad is not None for w in tiny.weights.values())


@pytest.mark.parametrize("count", [1, MAX_TOKENS + 1])
def test_texts_too_short_or_too_long_for_the_memory_are_refused(tiny: Decoder, count: int) -> None:
    with pytest.raises(ValueError, match="tokens"):
        gradients(tiny, [1] * count)


def test_counting_the_activations_leaves_none_of_them(tiny: Decoder) -> None:
    activation_bytes(tiny, IDS)
    before = tensors()
    assert activation_bytes(tiny, IDS) > 0
    assert tensors() == before


def tensors() -> int:
    gc.collect()
    return sum(issubclass(type(one), torch.Tensor) for one in gc.get_objects())


MEMORY = """
import re, resource, sys, torch
from llm_holes.engine import memory
from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.engine.interpret.gradients import MAX_TOKENS, gradients, losses_along, training
engine = Engine.load(store.locate(None, lambda status: None), 1)
ids = (engine.encode("one two three four five six seven eight " * 20))[:MAX_TOKENS]
assert len(ids) == MAX_TOKENS
for step in training(engine.model, ids, 1e-4, 3):
    if step.found:
        list(losses_along(engine.model, ids, step.found, [1e-4]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform != "darwin" else 1024))
del step
memory.give_back(torch.device("cpu"))
print(re.search(r"Anonymous: +(\\d+)", open("/proc/self/smaps_rollup").read())[1] if sys.platform == "linux" else 0)
"""


def test_the_longest_text_trains_in_little_more_than_two_gigabytes_and_gives_them_back(model_files: object) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True, timeout=300)
    peak, left = map(int, done.stdout.split())
    assert peak < 2.25 * 1024 * 1024
    assert left < 400 * 1024, "what it took is given back"
