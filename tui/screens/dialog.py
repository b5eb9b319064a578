"""What the dialogs share: a frame with a title, left with esc."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "close", key_display="esc", tooltip="Back to the lesson", id="dialog-close")
    ]

    def action_leave(self) -> None:
        self.dismiss(None)
