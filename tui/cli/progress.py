"""`llm-holes progress`: what the learner has done, as text or JSON, and the way to another machine and back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

from llm_holes.engine.numbers import figure, plural
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.learner.events import ForeignFile
from llm_holes.lessons.learner.mastery import statuses
from llm_holes.lessons.learner.progress import Progress
from llm_holes.lessons.learner.spaced_repetition import Calibration, calibration, due, queue
from llm_holes.tui.cli.json import dumps
from llm_holes.tui.cli.run import Unsuccessful
from llm_holes.tui.draw.sanitize import clean


def show(as_json: bool) -> int:
    """Prints the progress."""
    progress = Progress.open()
    status = _tell(progress)
    print(_json(progress) if as_json else _text(progress))
    return status


def export(file: str) -> int:
    """Writes everything to the file. Raises Unsuccessful if it cannot be written."""
    progress = Progress.open()
    status = _tell(progress)
    if file == "-":
        sys.stdout.buffer.write(progress.export())
        return status
    try:
        Path(file).write_bytes(progress.export())
    except OSError as error:
        raise Unsuccessful(f"{file}: {error.strerror}") from None
    return status


def import_(file: str) -> int:
    """Merges an export. Raises Unsuccessful for a file that is none."""
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Unsuccessful(f"{file}: {error.strerror}", usage=True) from None
    progress = Progress.open()
    try:
        count = progress.import_(data)
    except ForeignFile as error:
        raise Unsuccessful(f"{file} was not imported: {error}", usage=True) from None
    status = _tell(progress)
    print(f"{plural(count, 'new entry', 'new entries')}.")
    return status


def _tell(progress: Progress) -> int:
    notice = progress.take_notice()
    if notice:
        print(f"llm-holes: {notice}", file=sys.stderr)
    return 1 if notice else 0


def _json(progress: Progress) -> str:
    lessons = catalog.load()
    now = progress.now()
    return dumps(
        {
            "totals": asdict(progress.totals(lessons)),
            "lessons": statuses(lessons, progress.events),
            "due": [asdict(item) for item in due(progress.events, now, lessons)],
            "queued": [asdict(item) for item in queue(progress.events)],
            "calibration": asdict(calibration(progress.events)),
            "resume": progress.resume,
            "events": progress.events,
        }
    )


def _text(progress: Progress) -> str:
    lessons = catalog.load()
    totals = progress.totals(lessons)
    lines = [f"{totals.passed} of {totals.lessons} holes passed, {totals.run} run, {totals.read} read."]
    lines += [
        f"  tier {tier.tier}: {tier.passed} of {tier.lessons} passed, {tier.run} run, {tier.read} read"
        for tier in totals.tiers
    ]
    found = statuses(lessons, progress.events)
    lines += [""] + [f"{found[lesson.id]:<8}{lesson.title}" for lesson in lessons.lessons.values()]
    waiting = due(progress.events, progress.now(), lessons)
    lines += ["", f"Questions to review now: {len(waiting)}; later: {len(queue(progress.events)) - len(waiting)}."]
    return clean("\n".join([*lines, *_calibration(calibration(progress.events))]))


def _calibration(found: Calibration) -> list[str]:
    if found.brier is None:
        return []
    lines = [
        f"  said {bucket.confidence} %: right {bucket.right} of {bucket.n}" for bucket in found.buckets if bucket.n
    ]
    return [
        "How sure, and how often right:",
        *lines,
        f"  Brier score {figure(found.brier)} (0 is perfect, 0.25 is a coin)",
    ]
