"""A device that is not there: its tensors say they are on `meta`, refuse to be mixed with those of the CPU as those
of a GPU do, and yet have numbers, which lie on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from llm_holes.engine.device import OnDevice, Place

DEVICE = torch.device("meta")
CROSSING = {"_to_copy", "copy_", "index", "_index_put_impl_", "index_put_", "index_put"}
"""What may have a tensor of the CPU beside one of a GPU: copies, and places as an index."""


class There(Tensor):
    """A tensor on the other device; its numbers are in `held`."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> There:
        made: There = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return computed(func, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl


class _Literals(TorchFunctionMode):
    """Makes tensors of numbers on the device: of these torch makes real ones on `meta`, which have none. The
    same goes for lists as an index, and for numbers that it gives back of no subclass."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.tolist:
            return args[0].cpu().tolist()
        if func in {Tensor.__getitem__, Tensor.__setitem__}:
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(torch.tensor(p) if isinstance(p, list) else p for p in places), *args[2:])
        if func not in {torch.tensor, torch.as_tensor, torch.asarray} or kwargs.get("device") != DEVICE:
            return func(*args, **kwargs)
        return func(*args, **{**kwargs, "device": "cpu"}).to(DEVICE)


class _Factories(TorchDispatchMode):
    """Makes what is asked for on the device, which no tensor is an argument of."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The operation on what the tensors hold. Raises RuntimeError where CPU and device are mixed."""
    given: list[Tensor] = []
    args, kwargs = _held(args, given), {key: _held(value, given) for key, value in kwargs.items()}
    there = [tensor for tensor in given if isinstance(tensor, There)]
    name = func.__name__.split(".")[0]
    strays = [tensor for tensor in given if not isinstance(tensor, There) and tensor.dim()]
    if there and strays and name not in CROSSING:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found one on cpu")
    target = kwargs.get("device")
    arrives = bool(there) if target is None else torch.device(target) == DEVICE
    if target is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    held = {id(tensor.held): tensor for tensor in there}
    found = func(*args, **kwargs)
    return _there(found, held) if arrives else found


def _held(value: Any, given: list[Tensor]) -> Any:
    """The value with what the tensors in it hold in their place; they are added to `given`."""
    if isinstance(value, Tensor):
        given.append(value)
        return value.held if isinstance(value, There) else value
    if isinstance(value, (list, tuple)):
        return type(value)(_held(part, given) for part in value)
    return value


def _there(found: Any, held: Mapping[int, There]) -> Any:
    """What came out, on the device; what was changed in place is the tensor that it was."""
    if isinstance(found, Tensor):
        assert found.device != DEVICE, "made by torch on `meta`: it has no numbers"
        return held[id(found)] if id(found) in held else There(found)
    if isinstance(found, (list, tuple)):
        return type(found)(_there(part, held) for part in found)
    return found


@contextmanager
def elsewhere(dtype: str = "fp32") -> Iterator[Place]:
    """All that is made here is made on the other device."""
    with _Factories(), _Literals(), OnDevice(DEVICE):
        yield Place(DEVICE, dtype)
