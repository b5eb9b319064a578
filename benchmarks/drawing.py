"""What pictures cost the front end.

`python benchmarks/drawing.py [--rounds 60] [--seconds 3]` prints the processor time of a map of 64 × 64 cells, new in
all of them, from the view to Textual's lines, with colours and without; then what a thousand frames of such maps a
second come to: paints, processor time, and how long a key waits for its paint meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time

import peers
from opening import Silent
from rich.color import ColorSystem
from textual.geometry import Region

from llm_holes.engine.frames import Array, Heatmap
from llm_holes.tui.app import HolesApp
from llm_holes.tui.views.heatmap import HeatmapView

SIDE, SIZE = 64, (160, 45)


def attention(seed: int) -> Heatmap:
    """A map in which no two cells are alike; half of them are empty."""
    rng = random.Random(seed)
    cells = [[rng.random() if column <= row else float("nan") for column in range(SIDE)] for row in range(SIDE)]
    return Heatmap("attention", Array.of(cells), "to", "from", unit="weight")


def drawn(widget: HeatmapView, view: Heatmap) -> float:
    """Seconds of processor for taking the view and drawing all its lines."""
    began = time.process_time()
    widget.set_reactive(HeatmapView.view, widget.validate_view(view))
    widget._styles_cache.clear()
    widget.render_lines(Region(0, 0, *widget.size))
    return time.process_time() - began


async def measured(rounds: int) -> None:
    app = HolesApp([], None, link=Silent)
    async with app.run_test(size=SIZE) as pilot:
        widget = HeatmapView(attention(0))
        await app.main.mount(widget)
        widget.styles.width, widget.styles.height = SIZE[0], "auto"
        print(f"| a map of {SIDE} × {SIDE} | ms of processor |\n|---|---|")
        for name, colours in {"with colours": ColorSystem.TRUECOLOR, "in characters": None}.items():
            app.console._color_system = colours
            widget.refresh(layout=True)
            await pilot.pause()
            print(f"| {name} | {peers.spread([drawn(widget, attention(seed)) for seed in range(rounds)])} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        os.environ["LLM_HOLES_STATE"] = state
        asyncio.run(measured(asked.rounds))


if __name__ == "__main__":
    main()
