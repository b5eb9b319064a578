"""A small app for the terminal tests: `python tests/support/tiny_app.py MODE FILE`.

Modes: `idle`; `crash` (an exception two keys later); `stream` (a frame every 50 ms, and a heartbeat in FILE); `stuck`
(the event loop blocks for ever); `engine` (with the fake engine at work). `save_now` writes FILE.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from llm_holes.engine.ipc.client import Client
from llm_holes.engine.ipc.messages import Run
from llm_holes.tui.terminal.terminal import run_app


class TinyApp(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [("x", "boom", "crash"), ("s", "stick", "block the loop")]

    def __init__(self, mode: str, file: Path) -> None:
        super().__init__()
        self.mode = mode
        self.file = file
        self.count = 0
        self.client = Client([sys.executable, str(Path(__file__).parent / "fake_engine.py")], lambda reply: None)

    def compose(self) -> ComposeResult:
        yield Static("tiny app is up", id="text")
        yield Static("unchanged", id="rare")

    async def on_mount(self) -> None:
        if self.mode == "stream":
            self.set_interval(0.05, self.tick)
        if self.mode == "engine":
            await self.client.start()
            self.client.send(Run(1, "busy", {}))
            self.query_one("#text", Static).update(f"engine {self.client.command[-1]}")

    async def on_unmount(self) -> None:
        await self.client.close()

    def tick(self) -> None:
        self.count += 1
        rows = (f"count {self.count} " + f"{(self.count * 7919 + row) % 1000:03d} " * 26 for row in range(39))
        self.query_one("#text", Static).update("\n".join(rows))
        if self.count == 80:
            self.query_one("#rare", Static).update("changed once")
        with self.file.open("a") as file:
            file.write(f"{time.monotonic()}\n")

    def action_boom(self) -> None:
        secret = "the learner's text"
        raise RuntimeError(f"boom \x1b[31m {len(secret)}")

    def action_stick(self) -> None:
        time.sleep(1000)

    def save_now(self) -> None:
        self.file.write_text("saved")


if __name__ == "__main__":
    sys.exit(run_app(lambda: TinyApp(sys.argv[1], Path(sys.argv[2]))))
