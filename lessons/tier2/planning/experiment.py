"""A model writes a plan and carries it out: the plan is text, and each step a choice that can be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame
from llm_holes.lessons.tier2.planning.chooser import Chooser
from llm_holes.lessons.tier2.planning.followed import Walk, disturbed, kept, note, orders
from llm_holes.lessons.tier2.planning.helps import HELPS, Errand
from llm_holes.lessons.tier2.planning.views import Findings, frame, writing_frame
from llm_holes.lessons.tier2.planning.written_plan import FIRST, steps_in, typed, writing


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    text, given = FIRST, bool(p["plan"].strip())
    if not given:
        ids = engine.tokenizer.encode(FIRST)
        for step in writing(engine, p["text"], p["steps"]):
            text += step.text
            ids.append(step.token)
            yield writing_frame(engine, p["text"], ids)
    plan = typed(p["plan"]) if given else steps_in(text, p["steps"])
    if len(plan) < 2:
        raise InputError("the model wrote no plan of two different steps", "Write a plan, or another task.")
    errand = Errand(p["text"], plan, note(engine, p["noise"]))
    chooser = Chooser(engine, plan)
    found = Findings(errand, chooser, Walk(errand, p["variant"]), given)
    yield frame(engine, found, 0.3)
    for _ in found.walk.steps(chooser):
        yield frame(engine, found, 0.3 + 0.1 * len(found.walk.chosen) / len(plan))
    helps = [p["variant"], *(name for name in HELPS if name != p["variant"])]
    tried = orders(plan, p["trials"], p["seed"])
    for n, order in enumerate(tried):
        for help_ in helps:
            one = kept(chooser, Errand(p["text"], order, errand.noise), help_)
            found.kept.setdefault(help_, []).append(one)
            yield frame(engine, found, 0.4 + 0.4 * (n + len(found.kept) / len(helps)) / (len(tried) + 1))
    quiet = Errand(p["text"], plan)
    for one_more in disturbed(engine, chooser, quiet):
        found.drift.append(one_more)
        yield frame(engine, found, 0.8 + len(found.drift) / 21)
    yield frame(engine, found, None)
