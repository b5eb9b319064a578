"""The cache of a server from outside: a second message after one that was just read, and one of which nothing was."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from llm_holes.engine.backends.backend import Answer, Ask, Backend, Capability, Message, answer
from llm_holes.engine.frames import Frame, Stretch, Timeline, TimelineRow
from llm_holes.engine.numbers import duration, plural
from llm_holes.lessons.shared.asking import talk
from llm_holes.lessons.shared.passage_text import passage_of
from llm_holes.lessons.shared.report import Report

NEEDS: frozenset[Capability] = frozenset({"chat"})
VIEWS: Mapping[str, frozenset[Capability]] = {"the second turn": frozenset()}
BETS = frozenset[str]()
_INSIDE = "An API does not show keys and values"
UNSEEN: Mapping[str, str] = {
    "the cache": f"{_INSIDE}, only how soon the next answer begins.",
    "again or kept": f"{_INSIDE}, and always keeps its cache while it writes.",
    "time per token": "An API cannot be told to write without its cache.",
    "change a word": f"{_INSIDE}, so it cannot be seen which of them one word changes.",
    "what it takes": "An API does not show the memory of its cache.",
}
CONNECTIONS = 1
OFTEN = 3


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    report = Report()
    kept: list[Answer] = []
    anew: list[Answer] = []
    for n in range(OFTEN):
        begun = _talk(p)
        first = answer(backend, Ask(begun, p["max_new_tokens"]))
        report.say(f"The first message was answered in {duration(first.ended.ms)}.")
        yield report.frame((n + 0.5) / OFTEN)
        kept.append(answer(backend, Ask((*begun, *_second(first.text, p)), 1)))
        anew.append(answer(backend, Ask((*_talk(p), *_second(first.text, p)), 1)))
        _tell(report, kept, anew)
        yield report.frame((n + 1) / OFTEN if n + 1 < OFTEN else None)


def _talk(p: Mapping[str, Any]) -> tuple[Message, ...]:
    """The first message, with a number in front that it never had before, so that nothing behind it was kept."""
    passage = passage_of(p["context_tokens"])
    return talk("\n\n".join(filter(None, (f"[{secrets.token_hex(4)}]", passage, p["text"]))))


def _second(answered: str, p: Mapping[str, Any]) -> tuple[Message, ...]:
    return {"role": "assistant", "content": answered}, {"role": "user", "content": p["second"] or "Go on."}


def _until_first(given: Answer) -> float:
    return given.pieces[0].ms if given.pieces else given.ended.ms


def _tell(report: Report, kept: list[Answer], anew: list[Answer]) -> None:
    kept_ms, anew_ms = ([_until_first(one) for one in each] for each in (kept, anew))
    size, common = kept[-1].ended.prompt_tokens, kept[-1].ended.cached_tokens
    report.measure(
        second_turn_kept_ms=min(kept_ms),
        second_turn_anew_ms=min(anew_ms),
        second_turn_speedup=min(anew_ms) / max(min(kept_ms), 1e-3),
        second_turn_clearly_faster=median(kept_ms) < min(anew_ms),
    )
    note = ""
    if size is not None:
        report.measure(second_turn_tokens=size)
    if size is not None and common is not None:
        report.measure(second_turn_common=common, second_turn_shared_tokens=common, second_turn_new=size - common)
        note = f"{plural(common, 'token')} kept, says the server"
    rows = (
        TimelineRow("begun anew", (Stretch("until the first token", min(anew_ms), "read"),)),
        TimelineRow("just read", (Stretch("until the first token", min(kept_ms), "read"),), note),
    )
    report.show(the_second_turn=Timeline("until the second answer begins", rows))
    faster = "sooner" if median(kept_ms) < min(anew_ms) else "no sooner"
    report.say(
        f"After a talk that was just read the second answer begins {faster}: {duration(min(kept_ms))}, "
        f"else {duration(min(anew_ms))}."
    )
