"""The app on recorded frames, to look at: `python -m tests.support.demo [LESSON] [--real] [--loading]`."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from llm_holes.engine.ipc.messages import Status
from llm_holes.lessons.catalog import catalog as lessons
from llm_holes.tui.app import HolesApp
from tests.support import gallery
from tests.support.fake_link import FakeEngine


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lesson", nargs="?")
    parser.add_argument("--real", action="store_true", help="the real catalog instead of the gallery")
    parser.add_argument("--pace", type=float, default=0.05, help="seconds between two frames")
    parser.add_argument("--loading", action="store_true", help="stay at downloading")
    args = parser.parse_args()
    engine = FakeEngine(gallery.frames(), manual=args.loading, pace=args.pace)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("LLM_HOLES_STATE", f"{folder}/state")
        catalog = lessons.load() if args.real else gallery.catalog(Path(folder))
        app = HolesApp([], args.lesson, link=engine.link, catalog=catalog)
        if args.loading:
            app.call_later(engine.say, Status("downloading", "", 43_000_000, 93_000_000))
        app.run()


if __name__ == "__main__":
    main()
