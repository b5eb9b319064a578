"""Where a model computes, CPU, CUDA or MPS, and what is done so that the same code runs on each.

Lessons make tensors without naming a device. `OnDevice` gives them one as PyTorch's own `with torch.device(…)` does (of
numpy's arrays it sees `torch.as_tensor`, not `torch.from_numpy`), and besides gives numpy what it asks for and draws
random numbers on the CPU, so that a seed means the same on every machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from llm_holes.engine.errors import ModelError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CONSTRUCTORS = frozenset(
    {torch.empty, torch.zeros, torch.ones, torch.full, torch.eye, torch.arange, torch.linspace, torch.logspace}
    | {torch.tensor, torch.as_tensor, torch.asarray, torch.rand, torch.randn, torch.randint, torch.randperm}
)
TO_NUMPY: tuple[Any, ...] = (Tensor.numpy, Tensor.__array__)
HANDLED = CONSTRUCTORS.union(TO_NUMPY, {Tensor.double})


@dataclass(frozen=True, slots=True)
class Place:
    """The device, and the type in which matrices are kept: `fp32`, or `bf16`, in half the bytes. All else is fp32."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: str = "fp32"

    @property
    def matrix_bytes(self) -> int:
        """Bytes of one number of a matrix."""
        return DTYPES[self.dtype].itemsize


def chosen(device: str | None = None, dtype: str | None = None) -> Place:
    """What was asked for; else the GPU if there is one, and on it bf16 if it can. Raises ModelError."""
    place = torch.device(device or _best())
    if place.type != "cpu" and not _there(place):
        raise ModelError(
            f"this machine has no {place} that torch can use", f"Give --device {_best()}, or leave it out."
        )
    return Place(place, dtype or ("bf16" if place.type != "cpu" and _multiplies_bf16(place) else "fp32"))


def _best() -> str:
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def _there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return torch.backends.mps.is_available()


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.backends.mps.is_macos_or_newer(14, 0)


class OnDevice(TorchFunctionMode):
    """As long as it is entered, what this thread makes is made on `device`."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if not kwargs and func not in HANDLED:  # nearly all calls, several thousand for each token
            return func(*args)
        kwargs = kwargs or {}
        if kwargs.get("generator") is not None:
            found = func(*map(_on_cpu, args), **{**kwargs, "device": "cpu"} if func in CONSTRUCTORS else kwargs)
            return found.to(self.device)
        if func in CONSTRUCTORS and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": self.device}
        if func in TO_NUMPY:
            args = tuple(map(_on_cpu, args))
        if self.device.type == "mps":
            func, args, kwargs = _without_fp64(func, args, kwargs)
        return func(*args, **kwargs)


def _on_cpu(value: Any) -> Any:
    return value.cpu() if isinstance(value, Tensor) else value


def _without_fp64(
    func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]:
    """The call in fp32: Apple's GPUs have no fp64."""
    if kwargs.get("dtype") is torch.float64:
        kwargs = {**kwargs, "dtype": torch.float32}
    if func is torch.as_tensor and getattr(args[0], "dtype", None) == "float64":
        kwargs = {**kwargs, "dtype": torch.float32}
    return (Tensor.float if func is Tensor.double else func), args, kwargs


def clock() -> float:
    """Seconds, read when the device has done all that it was given: a GPU works on while Python goes on."""
    device = torch.empty(0).device
    if device.type in {"cuda", "mps"}:
        torch.get_device_module(device).synchronize()
    return time.perf_counter()
