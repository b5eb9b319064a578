"""Training, for real: loss, backward pass, plain gradient descent on copies of the weights.

The loaded weights are only read. The first step's new weights take over the memory of its gradients; later steps move
each of them as soon as its gradient is there, which is then dropped. So a run holds the loaded weights, one trained
copy and the gradients of a few weights, and no optimizer state.

Sources: Rumelhart, Hinton & Williams 1986 (backpropagation), Robbins & Monro 1951 (descent by noisy gradients).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from llm_holes.engine.device import clock
from llm_holes.engine.interpret.weight_map import TABLE
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import reweighted
from llm_holes.engine.work import Work

MAX_TOKENS = 128
"""A longer text would need more memory for the activations kept for the way back than for the weights."""


@dataclass(frozen=True)
class Gradients:
    """The mean loss in nats, the log-probability of each token after the first, and for each weight, by name, how
    the loss grows with it."""

    loss: float
    log_p: Tensor
    by_name: dict[str, Tensor]


def log_probabilities(model: Decoder, ids: Sequence[int]) -> Tensor:
    """Of each token after the first, given those before it: [len(ids) - 1], differentiable. Raises Cancelled."""
    inputs, targets = torch.tensor([list(ids[:-1])]), torch.tensor(list(ids[1:]))
    logits = model.unembed(model.run_layers(model.embed(inputs)))[0]
    return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)


@torch.no_grad()
def loss(model: Decoder, ids: Sequence[int]) -> float:
    """Mean surprise at each token after the first, nats, summed in fp64."""
    return -float(log_probabilities(model, ids).double().mean())


def gradients(model: Decoder, ids: Sequence[int]) -> Gradients:
    """One forward and one backward pass over 2 to MAX_TOKENS tokens. Raises Cancelled, and ValueError for others."""
    if not 2 <= len(ids) <= MAX_TOKENS:
        raise ValueError(f"{len(ids)} tokens; gradients are for 2 to {MAX_TOKENS}")
    leaves, log_p, surprise = _forward(model, ids)
    found = torch.autograd.grad(surprise, list(leaves.values()), allow_unused=True)
    used = {name: g for name, g in zip(leaves, found, strict=True) if g is not None}
    return Gradients(-float(log_p.detach().double().mean()), log_p.detach(), used)


def _forward(model: Decoder, ids: Sequence[int]) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The weights as leaves of a graph, in the memory where they are, and at its end the log-probabilities and their
    mean, negative."""
    with torch.enable_grad():
        leaves = {name: w.detach().requires_grad_() for name, w in model.weights.items()}
        log_p = log_probabilities(replace(model, weights=leaves, packed={}), ids)
        surprise = -log_p.mean()
    model.reached(Work("backward pass", 1, 1))
    return leaves, log_p, surprise


class Moved(Mapping[str, Tensor]):
    """Weights a step of size `rate` along their gradients. Each is made when it is asked for, as all of them would need
    the memory of a second model; the table, for which the system would be asked for memory each time, always in the
    same."""

    def __init__(self, weights: Mapping[str, Tensor], along: Mapping[str, Tensor]) -> None:
        self.rate = 0.0
        self._weights, self._along = weights, along
        self._table = torch.empty_like(weights[f"{TABLE}.weight"])

    def __getitem__(self, name: str) -> Tensor:
        w, g = self._weights[name], self._along.get(name)
        if g is None:
            return w
        return torch.sub(w, g, alpha=self.rate, out=self._table if name == f"{TABLE}.weight" else None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


@torch.no_grad()
def losses_along(model: Decoder, ids: Sequence[int], found: Gradients, rates: Sequence[float]) -> Iterator[float]:
    """The loss after one step of each of these sizes, all from the same place along the same gradients."""
    moved = Moved(model.weights, found.by_name)
    for moved.rate in rates:
        yield loss(replace(model, weights=moved, packed={}), ids)


def activation_bytes(model: Decoder, ids: Sequence[int]) -> int:
    """What a forward pass has to keep for the way back, besides the weights: each piece of memory counted once."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> None:
        # a graph that kept the tensor itself, which knows its graph, would never be freed; no way back is gone here
        kept[tensor.untyped_storage().data_ptr()] = tensor.detach()

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda _: torch.empty(0)):
        leaves = {name: w.detach().requires_grad_() for name, w in model.weights.items()}
        log_probabilities(replace(model, weights=leaves, packed={}), ids)
    own = {w.untyped_storage().data_ptr() for w in leaves.values()}
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)


def sgd_step(model: Decoder, grads: Gradients, learning_rate: float) -> Decoder:
    """The model one step further down. Its weights are made in the gradients' memory, which are gone after this."""
    weights = dict(model.weights)
    while grads.by_name:
        name, g = grads.by_name.popitem()
        weights[name] = torch.sub(weights[name], g, alpha=learning_rate, out=g)
    return replace(model, weights=weights, packed={})


def norm(tensors: Sequence[Tensor]) -> float:
    """Norm of all these numbers taken as one vector."""
    return float(torch.stack([torch.linalg.vector_norm(t) for t in tensors]).double().norm()) if tensors else 0.0


def norm_by_layer(found: Mapping[str, Tensor], n_layers: int) -> list[float]:
    """Norm of the gradient of each layer's weights."""
    return [norm([g for name, g in found.items() if name.startswith(f"model.layers.{n}.")]) for n in range(n_layers)]


def nudged(model: Decoder, ids: Sequence[int], name: str, direction: Tensor, by: float) -> float:
    """The loss where the weight `name` is moved by so much along `direction`."""
    moved = model.weights[name] + by * direction
    return loss(reweighted(model, {name: moved}), ids)


def finite_difference(model: Decoder, ids: Sequence[int], name: str, direction: Tensor, step: float) -> float:
    """How fast the loss grows when the weight `name` moves along `direction`, from two losses and no backward pass:
    (loss(w + step · direction) - loss(w - step · direction)) / (2 · step)."""
    up, down = (nudged(model, ids, name, direction, by) for by in (step, -step))
    return (up - down) / (2 * step)


@dataclass(frozen=True)
class Step:
    """A model on its way down, there until the next step is asked for. The first has its gradients, `found`. `ms` is
    what the gradients and the step that led here took, and `gradient_ms` the gradients alone."""

    model: Decoder
    log_p: Tensor
    ms: float = 0.0
    gradient_ms: float = 0.0
    found: Gradients | None = None

    @property
    def loss(self) -> float:
        return -float(self.log_p.double().mean())


def training(model: Decoder, ids: Sequence[int], learning_rate: float, steps: int) -> Iterator[Step]:
    """The model before each step and after the last, which comes early if the loss is no number any more."""
    started = clock()
    found = gradients(model, ids)
    gradient_s = clock() - started
    yield Step(model, found.log_p, found=found)
    started, own = clock(), set(found.by_name)
    if not math.isfinite(found.loss):
        return
    model = sgd_step(model, found, learning_rate)
    move_s = clock() - started
    for _ in range(steps - 1):
        started = clock()
        leaves, log_p, surprise = _forward(model, ids)
        forward_s = clock() - started
        step = Step(model, log_p.detach(), (gradient_s + move_s) * 1e3, gradient_s * 1e3)
        yield step
        if not math.isfinite(step.loss):
            return
        started = clock()
        move_s = _descend([leaves[name] for name in own], surprise, learning_rate)
        gradient_s = forward_s + clock() - started - move_s
    with torch.no_grad():
        log_p = log_probabilities(model, ids)
    yield Step(model, log_p, (gradient_s + move_s) * 1e3, gradient_s * 1e3)


def _descend(weights: Sequence[Tensor], surprise: Tensor, learning_rate: float) -> float:
    """A step down the slope of the loss, in the memory of the weights, each as soon as its gradient is there. Seconds
    that the moves took, without the gradients."""
    spent = 0.0

    def move(weight: Tensor) -> None:
        nonlocal spent
        started = clock()
        assert weight.grad is not None
        weight.data.sub_(weight.grad, alpha=learning_rate)
        weight.grad = None
        spent += clock() - started

    for weight in weights:
        weight.register_post_accumulate_grad_hook(move)  # type: ignore[no-untyped-call]  # torch's is not annotated
    torch.autograd.backward(surprise, inputs=weights)
    return spent
