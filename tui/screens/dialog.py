"""What the dialogs share: a frame with a title, left with esc."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from llm_holes.tui.faults import Steady

T = TypeVar("T")


class Dialog(Steady, ModalScreen[T]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "leave", "close", key_display="esc", tooltip="Back to the lesson", id="dialog-close"),
        Binding("ctrl+q", "app.quit", "leave", show=False, priority=True, tooltip="Leave at once", id="dialog-quit"),
    ]

    def action_leave(self) -> None:
        self.dismiss(None)

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Leaves the dialog with a result. Once: what else was pressed before it was gone changes nothing."""
        return super().dismiss(result) if self.app.screen is self else AwaitComplete()
