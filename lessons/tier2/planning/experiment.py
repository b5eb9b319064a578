"""A model writes a plan and carries it out: the plan is text, and each step a choice that can be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Token
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.tier2.planning.carrying import carried_out
from llm_holes.lessons.tier2.planning.chooser import Chooser
from llm_holes.lessons.tier2.planning.followed import as_note
from llm_holes.lessons.tier2.planning.views import writing_frame
from llm_holes.lessons.tier2.planning.writing import writing
from llm_holes.lessons.tier2.planning.written_plan import FIRST, plan_of


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    text = FIRST
    if not p["plan"].strip():
        ids = engine.tokenizer.encode(FIRST)
        for step in writing(engine, p["text"], p["steps"]):
            text += step.text
            ids.append(step.token)
            yield writing_frame(p["text"], engine.tokens(ids))
    plan = plan_of(p["plan"], text, p["steps"])

    def cut(text: str) -> tuple[Token, ...]:
        return engine.tokens(engine.tokenizer.encode(text))

    def note(count: int) -> str:
        ids = [token for token in passage_ids(engine, count) if token not in engine.tokenizer.special_ids]
        return as_note(engine.tokenizer.decode(ids))

    yield from carried_out(Chooser(engine, plan), plan, cut, note, p)
