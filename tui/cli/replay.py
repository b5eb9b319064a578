"""`llm-holes replay`: makes recorded runs again and says which numbers came out the same."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from llm_holes.engine.numbers import figure, measurement, percent
from llm_holes.lessons.learner.events import ForeignFile
from llm_holes.lessons.notebook.notebook import Entry, Recorded, plain, seal_holds
from llm_holes.lessons.notebook.replay import TOLERANCE, Comparison, changed_settings, compare, doubts, read_transcript
from llm_holes.tui.cli.json import Json, dumps, jsonable
from llm_holes.tui.cli.run import Progress, Unsuccessful, run_each
from llm_holes.tui.draw.sanitize import clean, visible
from llm_holes.tui.state.kept_runs import MadeRun

AROUND = 24
STATED = (
    "Texts, whole numbers and lists of them must be equal; other numbers may differ by "
    f"{percent(TOLERANCE)}. Times are shown and not judged."
)


class Replay:
    """One entry and what became of it."""

    def __init__(self, entry: Entry, outcome: MadeRun | Unsuccessful) -> None:
        self.entry = entry
        self.error = str(outcome) if isinstance(outcome, Unsuccessful) else ""
        self.comparisons: tuple[Comparison, ...] = ()
        self.doubts: list[str] = []
        if isinstance(outcome, MadeRun):
            after = plain(outcome.frames[-1].measured if outcome.frames else {})
            self.doubts = doubts(entry, outcome.model, outcome.versions) + changed_settings(entry, outcome.settings)
            self.comparisons = compare(entry.measured, after)

    @property
    def reproduced(self) -> bool:
        differs = any(comparison.verdict == "differs" for comparison in self.comparisons)
        return not self.error and not differs and seal_holds(self.entry)


def main(file: str, command: Sequence[str], as_json: bool) -> int:
    """Prints the comparison; 0 if everything was reproduced, 1 if not. Raises Unsuccessful for a file without runs and
    where there is no engine."""
    entries, notices = _read(file)
    for notice in notices:
        print(f"llm-holes: {notice}", file=sys.stderr)
    replays: list[Replay] = []
    progress = Progress()

    def done(outcome: MadeRun | Unsuccessful) -> None:
        replays.append(Replay(entries[len(replays)], outcome))

    try:
        run_each(command, [(entry.lesson, entry.settings) for entry in entries], progress, done)
    finally:
        progress.clear()
    ok = not notices and all(replay.reproduced for replay in replays)
    counts: Counter[str] = Counter(comparison.verdict for replay in replays for comparison in replay.comparisons)
    print(_json(replays, counts, ok) if as_json else _text(replays, counts))
    return 0 if ok else 1


def _read(file: str) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return read_transcript(data, file)
    except OSError as error:
        raise Unsuccessful(f"{file}: {error.strerror}", usage=True) from None
    except ForeignFile as error:
        raise Unsuccessful(f"{file}: {error}", usage=True) from None


def _json(replays: Sequence[Replay], counts: Counter[str], ok: bool) -> str:
    entries: list[Json] = [
        {
            "id": replay.entry.id,
            "lesson": replay.entry.lesson,
            "reproduced": replay.reproduced,
            "error": replay.error,
            "doubts": jsonable(replay.doubts),
            "measurements": [jsonable(asdict(comparison)) for comparison in replay.comparisons],
        }
        for replay in replays
    ]
    return dumps({"reproduced": ok, "counts": counts, "relative_tolerance": TOLERANCE, "entries": entries})


def _text(replays: Sequence[Replay], counts: Counter[str]) -> str:
    lines: list[str] = []
    for number, replay in enumerate(replays, 1):
        lines.append(f"{number}. {visible(replay.entry.lesson)}  {visible(replay.entry.time)}".rstrip())
        lines += [f"   ! {visible(doubt)}" for doubt in replay.doubts]
        lines += [f"   ! it could not be run again: {clean(replay.error)}"] if replay.error else []
        widest = max((len(comparison.name) for comparison in replay.comparisons), default=0)
        for comparison in replay.comparisons:
            lines.append(f"   {comparison.verdict:<14}  {visible(comparison.name):<{widest}}  {_values(comparison)}")
        lines.append("")
    failed = sum(bool(replay.error) for replay in replays)
    verdicts = [f"{counts[verdict]} {verdict}" for verdict in ("reproduced", "differs", "not comparable")]
    return "\n".join([*lines, ", ".join(verdicts + ([f"{failed} not run"] if failed else [])) + ".", STATED])


def _values(comparison: Comparison) -> str:
    before, after, name = comparison.before, comparison.after, comparison.name
    if comparison.verdict == "reproduced":
        return _short(name, after)
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        at = next((n for n, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]), 0)
        return f"number {at + 1}: {_short(name, before[at])} → {_short(name, after[at])}" if before else "both empty"
    if isinstance(before, str) and isinstance(after, str):
        at = max(next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0) - AROUND, 0)
        return f"{_short(name, before[at:])} → {_short(name, after[at:])}"
    sign = "+" if (comparison.difference or 0) > 0 else ""
    by = f"  ({sign}{figure(comparison.difference)})" if comparison.difference is not None else ""
    return f"{_short(name, before)} → {_short(name, after)}{by}"


def _short(name: str, value: Recorded) -> str:
    text = visible(repr(value) if isinstance(value, str) else measurement(name, value))
    return text if len(text) <= 3 * AROUND else text[: 3 * AROUND] + "…"
