"""A plan is carried out with each kind of help, and disturbed: the same for every model that takes one of its steps. No
torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llm_holes.engine.frames import Frame
from llm_holes.lessons.tier2.planning.followed import Walk, disturbed, kept, orders
from llm_holes.lessons.tier2.planning.helps import HELPS, Errand
from llm_holes.lessons.tier2.planning.shares import Chooses
from llm_holes.lessons.tier2.planning.views import Cut, Findings, frame


def carried_out(
    chooser: Chooses, plan: tuple[str, ...], cut: Cut, note: Callable[[int], str], p: Mapping[str, Any]
) -> Iterator[Frame]:
    """`cut` gives the tokens of a text, `note` a line with so many tokens of a book."""
    errand = Errand(p["text"], plan, note(p["noise"]))
    found = Findings(errand, chooser, Walk(errand, p["variant"]), bool(p["plan"].strip()))
    yield frame(cut, found, 0.3)
    for _ in found.walk.steps(chooser):
        yield frame(cut, found, 0.3 + 0.1 * len(found.walk.chosen) / len(plan))
    helps = [p["variant"], *(name for name in HELPS if name != p["variant"])]
    tried = orders(plan, p["trials"], p["seed"])
    for n, order in enumerate(tried):
        for help_ in helps:
            one = kept(chooser, Errand(p["text"], order, errand.noise), help_)
            found.kept.setdefault(help_, []).append(one)
            yield frame(cut, found, 0.4 + 0.4 * (n + len(found.kept) / len(helps)) / (len(tried) + 1))
    for one_more in disturbed(chooser, Errand(p["text"], plan), note, lambda text: len(cut(text))):
        found.drift.append(one_more)
        yield frame(cut, found, 0.8 + len(found.drift) / 21)
    yield frame(cut, found, None)
