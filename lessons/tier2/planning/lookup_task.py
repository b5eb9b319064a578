"""A task of several steps for the planning lesson: look prices up in a given order, with more or less help around."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.calls import Call, Fault
from llm_holes.engine.harness.events import Event, PromptFed, TokenWritten
from llm_holes.engine.harness.loop import Bounds, Harness
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.prompt import Message
from llm_holes.engine.harness.tools import Result, Tool
from llm_holes.engine.model.hook_names import in_all_layers

VARIANTS = ("none", "plan", "plan again", "checklist")
SYSTEM = "You look up prices with calls."
MAX_STEPS, MAX_ITEMS, MAX_NAME = 8, 12, 24


@dataclass(frozen=True)
class Errand:
    """`plan` names the items to look up in order; `noise` follows every price."""

    text: str
    plan: tuple[str, ...]
    table: dict[str, str]
    noise: str

    @property
    def plan_text(self) -> str:
        return "Plan: " + " ".join(f"{n + 1}. {name}." for n, name in enumerate(self.plan))

    def tool(self) -> Tool:
        """A lookup whose argument can only be one of the items, so that a step is one choice among names."""
        names: Any = Literal[tuple(self.table)]
        arguments = msgspec.defstruct("Item", [("key", names)], frozen=True, forbid_unknown_fields=True)
        return Tool("lookup", "finds a price.", arguments, lambda item: f"{self.table[item.key]} {self.noise}".strip())

    def done(self, called: Sequence[str]) -> int:
        """How many steps are done: calls out of turn count for nothing, and nothing can be taken back."""
        at = 0
        for name in called:
            at += at < len(self.plan) and name == self.plan[at]
        return at


def errand(text: str, plan: str, table: dict[str, str], noise: str) -> Errand:
    """Raises InputError for a plan that cannot be run."""
    steps = tuple(name.strip() for name in plan.split(",") if name.strip())
    if not 1 <= len(steps) <= MAX_STEPS:
        raise InputError(f"the plan has {len(steps)} steps", f"Write 1 to {MAX_STEPS} items with commas between.")
    items = table | {name: "not known" for name in steps if name not in table}
    if len(items) > MAX_ITEMS or max(map(len, items)) > MAX_NAME:
        hint = f"Use at most {MAX_ITEMS} items with names of at most {MAX_NAME} characters."
        raise InputError("the table is too large for this lesson", hint)
    return Errand(text, steps, dict(sorted(items.items())), noise)


@dataclass
class Attempt:
    """One run of a variant, filled while it runs. `context` is all tokens so far, `marked` the places among them that
    hold the plan (of the checklist: what the software says is next), `decided_at` how long the context was at the last
    choice the model had."""

    task: Errand
    variant: str

    def __post_init__(self) -> None:
        self.called: list[str] = []
        self.context: list[int] = []
        self.marked: list[int] = []
        self.decided_at = 0
        self.chosen = 0
        self.forced = 0

    @property
    def done(self) -> int:
        return self.task.done(self.called)

    def messages(self) -> list[Message]:
        plan = [] if self.variant == "none" else [Message("assistant", self.task.plan_text)]
        told = [] if self.variant == "none" else [Message("user", self.cue())]
        return [Message("system", SYSTEM), Message("user", self.task.text), *plan, *told]

    def cue(self) -> str:
        """What the software says before each step."""
        if self.variant == "plan again":
            return f"{self.task.plan_text} Next step."
        if self.variant == "checklist":
            left = self.task.plan[self.done :]
            return f"Done: {self.done} of {len(self.task.plan)}. Next step: {left[0] if left else 'none'}."
        return "Next step."

    def after(self, found: Call | Fault, result: Result) -> list[Message]:
        if isinstance(found, Call):
            self.called.append(found.arguments.key)  # type: ignore[attr-defined]
        return [Message("user", self.cue())]

    def run(self, engine: Engine, model: PrefixCachedModel, params: SamplingParams) -> Iterator[Event]:
        steps = len(self.task.plan)
        harness = Harness(
            model,
            engine.tokenizer,
            engine.info.d_vocab,
            (self.task.tool(),),
            Bounds(engine.model.config.n_ctx, steps=steps, tokens=100_000, seconds=3600),
            params,
            forced_calls=steps,
            after=self.after,
        )
        for event in harness.converse(self.messages()):
            self._note(engine, event)
            yield event

    def _note(self, engine: Engine, event: Event) -> None:
        if isinstance(event, PromptFed):
            for piece in event.pieces:
                if piece.what in {"user", "assistant"} and self._is_plan(engine.tokenizer.decode(piece.ids)):
                    self.marked += range(len(self.context), len(self.context) + len(piece.ids))
                self.context += piece.ids
        elif isinstance(event, TokenWritten):
            if event.written.forced:
                self.forced += 1
            else:
                self.chosen += 1
                self.decided_at = len(self.context)
            self.context.append(event.written.token)

    def _is_plan(self, text: str) -> bool:
        return text.startswith("Done: " if self.variant == "checklist" else self.task.plan_text)


def attention_on_plan(engine: Engine, model: PrefixCachedModel, attempt: Attempt) -> float:
    """Mean over layers and heads of the weight on the plan's tokens, at the last choice the model had."""
    if not attempt.marked or not attempt.decided_at:
        return 0.0
    taps = in_all_layers("attn.hook_pattern", engine.model.config.n_layers)
    acts = model.acts(attempt.context[: attempt.decided_at], taps)
    places = [place for place in attempt.marked if place < attempt.decided_at]
    return float(sum(float(acts[name][0, :, -1, places].sum(0).mean()) for name in taps) / len(taps))
