"""The errors the engine raises on purpose. Torch-free."""

from __future__ import annotations


class Cancelled(Exception):
    """The run was asked to stop; raised within one layer of one forward pass."""


class InputError(ValueError):
    """The learner's input cannot be run; the message says why, `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ModelError(Exception):
    """No usable model; the message says why, `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
