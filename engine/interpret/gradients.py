"""Training, for real: loss, backward pass, plain gradient descent on copies of the weights.

The loaded weights are only read. A step's new weights take over the memory of its gradients, so a run holds the loaded
weights, one trained copy and one set of gradients, and no optimizer state.

Sources: Rumelhart, Hinton & Williams 1986 (backpropagation), Robbins & Monro 1951 (descent by noisy gradients).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from llm_holes.engine.device import clock
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import reweighted

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
    with torch.enable_grad():
        leaves = {name: w.detach().requires_grad_() for name, w in model.weights.items()}
        log_p = log_probabilities(replace(model, weights=leaves, packed={}), ids)
        if model.is_cancelled():
            raise Cancelled
        found = torch.autograd.grad(-log_p.mean(), list(leaves.values()), allow_unused=True)
    used = {name: g for name, g in zip(leaves, found, strict=True) if g is not None}
    return Gradients(-float(log_p.detach().double().mean()), log_p.detach(), used)


@torch.no_grad()
def losses_along(model: Decoder, ids: Sequence[int], found: Gradients, rates: Sequence[float]) -> Iterator[float]:
    """The loss after one step of each of these sizes, all from the same place along the same gradients."""
    weights = dict(model.weights)
    moved = {name: torch.empty_like(g) for name, g in found.by_name.items()}
    for rate in rates:
        for name, g in found.by_name.items():
            weights[name] = torch.sub(model.weights[name], g, alpha=rate, out=moved[name])
        yield loss(replace(model, weights=weights, packed={}), ids)


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
    """A model on its way down. `found` are its gradients, there until the next step is asked for, and `gradient_ms` is
    what they took; the last model has none. `ms` is what the gradients and the step that led here took."""

    model: Decoder
    log_p: Tensor
    ms: float
    found: Gradients | None = None
    gradient_ms: float = 0.0

    @property
    def loss(self) -> float:
        return -float(self.log_p.double().mean())


def training(model: Decoder, ids: Sequence[int], learning_rate: float, steps: int) -> Iterator[Step]:
    """The model before each step and after the last, which comes early if the loss is no number any more."""
    took = 0.0
    for _ in range(steps):
        started = clock()
        found = gradients(model, ids)
        backward_s = clock() - started
        yield Step(model, found.log_p, took, found, backward_s * 1e3)
        if not math.isfinite(found.loss):
            return
        started = clock()
        model = sgd_step(model, found, learning_rate)
        took = (backward_s + clock() - started) * 1e3
    with torch.no_grad():
        yield Step(model, log_probabilities(model, ids), took)
