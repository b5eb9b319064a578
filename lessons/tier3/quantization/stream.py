"""The numbers that flow from layer to layer: how large they get, and what rounding them costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, series
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.model.number_formats import Format, cast, levels
from llm_holes.engine.surgery.operations import hooked
from llm_holes.lessons.tier3.quantization.comparisons import Moved

POINT = "hook_resid_post"
END = float(levels("FP8 E4M3").max())
Reach = Literal["nothing", "tensor", "token"]


@dataclass(frozen=True, slots=True)
class StreamRounded:
    """After every layer the stream is stored in a small format: without a scale, with one for all tokens or with one
    for each."""

    kind: Format | int
    scale_per: Reach

    def apply(self, model: Decoder) -> Decoder:
        for layer in range(model.config.n_layers):
            model = hooked(model, tap(layer, POINT), self._rounded)
        return model

    def _rounded(self, x: Tensor) -> Tensor:
        if self.scale_per == "nothing":
            return cast(x, self.kind)
        top = 2.0 ** (self.kind - 1) - 1 if isinstance(self.kind, int) else float(levels(self.kind).max())
        largest = x.abs().max() if self.scale_per == "tensor" else x.abs().amax(-1, keepdim=True)
        scale = largest.clamp_min(1e-12) / top
        return cast(x / scale, self.kind) * scale


UNSCALED = StreamRounded("FP8 E4M3", "nothing")
NO_SCALE, ONE_SCALE, PER_TOKEN = "FP8 E4M3, no scale", "INT8, one scale for all", "INT8, a scale per token"
WAYS = {
    NO_SCALE: UNSCALED,
    "FP8 E5M2, no scale": StreamRounded("FP8 E5M2", "nothing"),
    "FP8 E4M3, a scale per token": StreamRounded("FP8 E4M3", "token"),
    ONE_SCALE: StreamRounded(8, "tensor"),
    PER_TOKEN: StreamRounded(8, "token"),
}


def by_stream(engine: Engine, ids: Sequence[int], intact: Tensor) -> Iterator[tuple[str, Moved]]:
    """How far each way of rounding the stream moves the predictions. Raises Cancelled."""
    for name, way in WAYS.items():
        yield name, Moved.of(intact, engine.operated([way]).logits(ids))


@dataclass(frozen=True, slots=True)
class Read:
    """What a text makes of the intact model: logits [pos, d_vocab], and of the stream after each layer the largest
    number and the median, all signs dropped."""

    logits: Tensor
    largest: list[float]
    typical: list[float]


def read(engine: Engine, ids: Sequence[int]) -> Read:
    taps = [tap(layer, POINT) for layer in range(engine.model.config.n_layers)]
    found = engine.model.forward(torch.tensor([list(ids)]), taps=taps)
    sizes = [torch.as_tensor(found.acts[name]).abs() for name in taps]
    return Read(found.logits[0], [float(x.max()) for x in sizes], [float(x.median()) for x in sizes])


def heights(found: Read, tokens: int) -> Curve:
    """How large the stream's numbers are after each layer, beside the largest that FP8 has."""
    layers = range(len(found.largest))
    return Curve(
        f"numbers between the layers, on {tokens:,} tokens",
        (
            series("the largest", layers, found.largest),
            series(f"FP8 E4M3 ends at {END:.0f}", layers, [END] * len(layers)),
            series("a middling one", layers, found.typical),
        ),
        "layer",
        "size",
        log_y=True,
    )
