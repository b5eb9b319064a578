"""The errors the engine raises on purpose. Torch-free."""

from __future__ import annotations

LONGEST = 800


class Cancelled(Exception):
    """The run was asked to stop; raised within one layer of one forward pass."""


class InputError(ValueError):
    """The learner's input cannot be run; the message says why, `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ModelError(Exception):
    """No usable model; the message says why in one line, `hint` what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        # what it quotes of a model's files may be of any length
        line = " ".join(message.split())
        super().__init__(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…")
        self.hint = hint
