"""What has happened to a message so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from llm_holes.engine.frames import Flow, Part
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier0.what_happens.branch import Branch
from llm_holes.lessons.tier0.what_happens.conversation import NextTurn
from llm_holes.lessons.tier0.what_happens.stages import Stages
from llm_holes.lessons.tier0.what_happens.views import Choice


@dataclass
class MessageTrace:
    """What has happened so far. The prompt ends with the `forced` tokens, with which the `answer` begins; that is what
    the learner sees of it."""

    stages: Stages = field(default_factory=Stages)
    prompt: list[int] = field(default_factory=list)
    forced: list[int] = field(default_factory=list)
    picked_at: int = 0
    choices: list[Choice] = field(default_factory=list)
    answer: str = ""
    branch: Branch = field(default_factory=lambda: Branch(""))
    parts: tuple[Part, ...] = ()
    following: NextTurn = field(default_factory=NextTurn)
    around: Flow | None = None
    report: Report = field(default_factory=Report)
