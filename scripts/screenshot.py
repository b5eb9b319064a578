"""Draws docs/screenshot.svg: the app on the real engine, at the first step of the lesson on attention."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

os.environ.update(COLORTERM="truecolor", TERM="xterm-256color")

from llm_holes.engine.ipc.client import command_for  # the colours are read at import
from llm_holes.tui.app import HolesApp

PICTURE = Path(__file__).parent.parent / "docs" / "screenshot.svg"
LESSON = "attention"


async def main() -> None:
    os.environ["LLM_HOLES_STATE"] = tempfile.mkdtemp()
    app = HolesApp(command_for("local", None, 1), LESSON)
    async with app.run_test(size=(132, 42)) as pilot:
        while app.main.session.engine.phase != "ready":
            await pilot.pause(0.1)
        while app.main.session.run.phase != "done":  # the first step runs by itself
            await pilot.pause(0.1)
        await pilot.pause(1)
        PICTURE.write_text(app.export_screenshot(title="llm-holes"), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
