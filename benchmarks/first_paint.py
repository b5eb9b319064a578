"""Time to the first paint of `llm-holes`, beside that of a bare Textual app with a Tree and a Markdown widget.

`python benchmarks/first_paint.py [--runs 7]` prints the medians of interleaved runs in ptys and their ratio. The engine
is started by the app as always, after its first paint.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median

from pty_run import Terminal

BARE = """
from textual.app import App
from textual.widgets import Markdown, Tree

class Bare(App):
    def compose(self):
        tree = Tree("bare tree")
        tree.root.expand()
        for n in range(32):
            tree.root.add_leaf(f"leaf {n}")
        yield tree
        yield Markdown("A language model never sees your text.")

Bare().run()
"""
OURS = "from llm_holes.tui.cli.main import main; main([])"


def first_paint(code: str, text: bytes) -> float:
    """Seconds until `text`, which is in the first frame, has been drawn."""
    terminal = Terminal([sys.executable, "-c", code])
    try:
        return terminal.wait(lambda output: text in output)
    finally:
        terminal.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    bare, ours = [], []
    for _ in range(runs):
        bare.append(first_paint(BARE, b"bare tree"))
        ours.append(first_paint(OURS, b"Find the hole"))
    print(f"bare Textual app  {median(bare) * 1000:6.0f} ms")
    print(f"llm-holes         {median(ours) * 1000:6.0f} ms")
    print(f"ratio             {median(ours) / median(bare):6.2f}  (at most 1.1)")


if __name__ == "__main__":
    main()
