"""The app in a terminal, on recorded frames: `python -m tests.support.streaming_app LESSON [--times N]`.

A frame comes every 50 ms. With `--times` the recorded frames, which are the first, the last and some between, come over
and over: more changes from one to the next than in a run.
"""

from __future__ import annotations

import argparse
import sys

from llm_holes.lessons.catalog import catalog
from llm_holes.tui.app import HolesApp
from llm_holes.tui.terminal.terminal import run_app
from tests.support.fake_link import FakeEngine, Recording, recording
from tests.support.paths import RECORDINGS

PACE = 0.05


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("lesson")
    parser.add_argument("--times", type=int, default=1)
    args = parser.parse_args()
    recorded = recording(RECORDINGS / f"{args.lesson}.msgpack")
    runs = Recording([(settings, frames * args.times) for settings, frames in recorded.runs])
    engine = FakeEngine({args.lesson: runs}, pace=PACE)
    return run_app(lambda: HolesApp([], args.lesson, link=engine.link, catalog=catalog.load()))


if __name__ == "__main__":
    sys.exit(main())
