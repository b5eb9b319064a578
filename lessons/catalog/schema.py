"""What a lesson's data may say: `lesson.toml`, field by field. No torch, no textual."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from llm_holes.engine.frames import Scalar, Value

Stage = Literal["text", "tokens", "embedding", "attention", "FFN", "logits", "token"]
Kind = Literal["text", "int", "float", "choice", "toggle", "token", "head", "layer"]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One parameter of the experiment. `min`/`max` bound int and float; `layer`, `head` and `token` are bounded by the
    model. `help` says what changing it does. The `main` ones are always in sight. One that is a `picture` says only
    which pictures are made besides, for the step that needs them."""

    name: NonEmpty
    kind: Kind
    label: NonEmpty
    help: NonEmpty
    default: Scalar
    min: float | None = None
    max: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    main: bool = False
    picture: bool = False


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Named settings. `expect` says whether the folklore holds here (`expected`) or breaks (`surprise`)."""

    name: NonEmpty
    why: NonEmpty
    settings: dict[str, Value]
    expect: Literal["expected", "surprise", "other"] = "other"


class Option(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An answer. It is right if `correct`, or, where the question names a measurement, if the measured value lies in
    [`at_least`, `below`) or equals `equals`. `because` explains it once answered."""

    text: NonEmpty
    because: NonEmpty
    correct: bool = False
    at_least: float | None = None
    below: float | None = None
    equals: Scalar | None = None


class Bet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The question the learner commits to before the run; `measurement` names the published result that decides it.
    It speaks of the lesson's defaults with the step's and these `settings`, and only a run with them decides it.
    Without options the answer is a number."""

    question: NonEmpty
    measurement: NonEmpty
    settings: dict[str, Value] = {}
    options: tuple[Option, ...] = ()


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of the lesson; its words are under a heading of `lesson.md`. `view` is the key of the picture on the
    stage, `settings` are set when the step is reached, `try_` (`try` in the file) is one thing to do."""

    view: NonEmpty
    settings: dict[str, Value] = {}
    try_: str = msgspec.field(default="", name="try")
    bet: Bet | None = None


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    question: NonEmpty
    options: Annotated[tuple[Option, ...], msgspec.Meta(min_length=2)]
    hints: Annotated[tuple[NonEmpty, ...], msgspec.Meta(min_length=2)]
    measurement: str = ""


class LessonData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `lesson.toml`. `short` is the title in the tree, `keep` the one sentence to remember. `code` lists what
    `c` shows beside the experiment, as `module:name`; `terms` maps each term the lesson explains to one sentence."""

    title: NonEmpty
    short: NonEmpty
    objective: NonEmpty
    keep: NonEmpty
    order: int
    minutes: int
    stages: tuple[Stage, ...]
    controls: tuple[Control, ...]
    presets: Annotated[tuple[Preset, ...], msgspec.Meta(min_length=2)]
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]
    quiz: Annotated[tuple[Question, ...], msgspec.Meta(min_length=2, max_length=4)]
    terms: dict[str, str]
    publishes: tuple[NonEmpty, ...]
    code: tuple[str, ...] = ()
    parent: str = ""
    see_also: tuple[str, ...] = ()

    @property
    def bets(self) -> tuple[Bet, ...]:
        """The bets of all steps, in order."""
        return tuple(step.bet for step in self.steps if step.bet is not None)
