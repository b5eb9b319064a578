"""A process that records progress without end: `python -m tests.support.recorder FOLDER PREFIX [COUNT]`.

Each event's id is PREFIX-N; the id is printed once it is on disk.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from llm_holes.lessons.learner.events import Answered
from llm_holes.lessons.learner.progress import Progress


def main() -> None:
    folder, prefix, *count = sys.argv[1:]
    progress = Progress.open(Path(folder))
    for number in range(int(count[0])) if count else itertools.count():
        event = Answered(lesson="tokens", id=f"{prefix}-{number}", question="q" * 500, option=0, said="a", right=True)
        progress.record(event)
        while not progress.save():
            pass
        print(event.id, flush=True)


if __name__ == "__main__":
    main()
