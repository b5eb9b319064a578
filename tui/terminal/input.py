"""The input side of the terminal driver."""

from __future__ import annotations

import os
import select
import time

from textual import constants
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from llm_holes.tui.terminal.keyboard import Keyboard
from llm_holes.tui.terminal.sequences import LONGEST_PASTE
from llm_holes.tui.terminal.typeahead import TYPED, Typeahead

PASTE_SECONDS = 2.0
"""Without a byte, after which a paste that did not end is taken as it is."""


class TolerantInput(LinuxDriver):
    """Reads whatever a terminal sends. Textual's own driver ends on a byte that is no UTF-8."""

    _typed: list[Message]

    def run_input_thread(self) -> None:
        typeahead, keyboard = Typeahead(self._app), Keyboard()
        last = time.monotonic()
        while not self.exit_event.is_set():
            data = self._read()
            now = time.monotonic()
            if data:
                last = now
            elif now - last < (PASTE_SECONDS if keyboard.pasting else constants.ESCAPE_DELAY):
                continue
            self._typed = []
            for message in keyboard.read(data) if data else keyboard.pause():
                self.process_message(message)
            if self._typed:
                self._loop.call_soon_threadsafe(typeahead.add, self._typed)
            if keyboard.cut:
                keyboard.cut = False
                self._loop.call_soon_threadsafe(self._tell_cut)

    def _read(self) -> bytes:
        """What has come, after a short while nothing."""
        if not select.select([self.fileno], [], [], constants.ESCAPE_DELAY)[0]:
            return b""
        data = os.read(self.fileno, 4096)
        if not data:
            # an input that has ended is always ready
            self.exit_event.wait(constants.ESCAPE_DELAY)
        return data

    def send_message(self, message: Message) -> None:
        if isinstance(message, TYPED):
            self._typed.append(message)
        else:
            super().send_message(message)

    def _tell_cut(self) -> None:
        told = f"The paste was longer than {LONGEST_PASTE:,} bytes: the rest was left out."
        self._app.notify(told, title="keyboard", markup=False)
