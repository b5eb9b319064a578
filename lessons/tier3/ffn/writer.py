"""Which neuron of the whole model pushes the likeliest next token most, and what happens where it is silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars
from llm_holes.engine.interpret.logit_lens import tapped
from llm_holes.engine.interpret.neurons import NeuronsOff, columns
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.spelling import spaced, spelt
from llm_holes.lessons.shared.words import output_table

BARS = 10
MOST_OTHERS = 6
BETWEEN = "|"
LOST = 0.9
"""A text whose answer keeps less of its probability than this has lost by the silence."""
WORDS = 3
"""So many of a text's last words name it in the picture."""


@dataclass(frozen=True)
class Writers:
    """The likeliest next token `answer`, what each neuron adds to its score beyond what it adds to
    all scores on average: `added` [layer, neuron], and the neurons' `values`, as many."""

    answer: int
    added: Tensor
    values: Tensor

    @property
    def top(self) -> list[tuple[int, int, float]]:
        """Layer, neuron and what it adds, of those that add most."""
        found = self.added.flatten().topk(min(BARS, self.added.numel()))
        width = self.added.shape[1]
        return [(*divmod(i, width), x) for i, x in zip(found.indices.tolist(), found.values.tolist(), strict=True)]


def writers(engine: Engine, ids: Sequence[int]) -> Writers:
    """At the last token of the text. Raises Cancelled."""
    model, layers = engine.model, engine.model.config.n_layers
    end = tap(layers - 1, "hook_resid_post")
    acts = tapped(model, ids, [end, *(tap(layer, "mlp.hook_post") for layer in range(layers))], 1)
    stream = torch.as_tensor(acts[end][0, -1])
    logits = model.unembed(stream)
    answer, table = int(logits.argmax()), output_table(model)
    looked_for = (table[answer] - table.mean(0)) * model.weights.get("model.norm.weight", torch.ones(()))
    looked_for = looked_for / (stream.square().mean() + model.config.norm_eps).sqrt()
    values = torch.stack([torch.as_tensor(acts[tap(layer, "mlp.hook_post")][0, -1]) for layer in range(layers)])
    written = torch.stack([looked_for @ columns(model, layer) for layer in range(layers)])
    return Writers(answer, values * written, values)


def who_writes_it(token: str, found: Writers) -> Bars:
    labels = tuple(f"layer {layer}, neuron {neuron}" for layer, neuron, _ in found.top)
    title = f"the neurons that add most to the score of {spelt(token)}, of {found.added.numel():,}"
    return Bars(title, labels, tuple(x for *_, x in found.top), marked=0)


@dataclass(frozen=True)
class Held:
    """A text, its likeliest next token, and that token's probability with all neurons and without one."""

    text: str
    answer: str
    p: float
    p_without: float

    @property
    def fallen(self) -> bool:
        return self.p_without < LOST * self.p


def split(others: str, own: str) -> list[str]:
    """The texts that the setting lists, other than the learner's own."""
    listed = dict.fromkeys(text.strip() for text in others.split(BETWEEN))
    return [text for text in listed if text and text != own.strip()][:MOST_OTHERS]


def held(engine: Engine, texts: Sequence[str], layer: int, neuron: int) -> list[Held]:
    """Each text's own answer, without this neuron too. Raises Cancelled."""
    silent = engine.operated([NeuronsOff(layer, (neuron,))])
    found = []
    for text in texts:
        ids = engine.encode(text)
        before, after = (e.logits(ids, 1)[0].softmax(-1) for e in (engine, silent))
        answer = int(before.argmax())
        found.append(Held(text, engine.token_text(answer), float(before[answer]), float(after[answer])))
    return found


def without_it(found: Sequence[Held], layer: int, neuron: int) -> Bars:
    """Two bars for each text: all neurons at work, and one of them silent."""
    labels, values = list[str](), list[float]()
    for one in found:
        labels += [f"{_named(one.text)} {spelt(one.answer)}", "without it"]
        values += [one.p, one.p_without]
    title = f"each text's answer, and without neuron {neuron} of layer {layer}"
    return Bars(title, tuple(labels), tuple(values), "P", range=(0, 1))


def _named(text: str) -> str:
    words = spaced(text).replace("·", " ").split()
    return ("… " if len(words) > WORDS else "") + " ".join(words[-WORDS:])
