"""What the planning lesson has found so far, and how it is shown. No torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm_holes.engine.frames import (
    Array,
    Bars,
    Context,
    Contexts,
    Frame,
    Heatmap,
    Part,
    Scalar,
    Table,
    Token,
    Transcript,
    Turn,
)
from llm_holes.engine.numbers import NOTHING, percent
from llm_holes.engine.proportion import wilson
from llm_holes.lessons.shared.report import keyed
from llm_holes.lessons.tier2.planning.followed import ALIKE, UNDISTURBED, Kept, Walk, mean
from llm_holes.lessons.tier2.planning.helps import HELPS, Errand
from llm_holes.lessons.tier2.planning.helps import Part as Piece
from llm_holes.lessons.tier2.planning.shares import Chooses

Cut = Callable[[str], tuple[Token, ...]]
"""A text into the model's tokens."""

ACTS = {
    "task": "gave the task",
    "plan": "its plan",
    "cue": "asked for a step",
    "choice": "the step it takes",
    "help": "put in what shall help",
    "noise": "put in what came back",
}
YOUR_PLAN = "put in your plan"
NAMED = {
    "task": "task",
    "plan": "plan",
    "cue": "asked for",
    "choice": "done",
    "help": "help",
    "noise": "what came back",
}

LEAST = 0.001
"""Smaller probabilities are not written into the map."""
CLEAR = 0.05
"""A difference of this many points is worth a sentence."""
FOUND = 0.5
"""From this mean probability on, a plan counts as found in the text."""


@dataclass
class Findings:
    """All measurements by help, the plan itself first, then other orders of its steps; how the model carried it out by
    itself; what disturbs it: name, tokens, probability of the step that is due."""

    errand: Errand
    chooser: Chooses
    walk: Walk
    typed: bool
    kept: dict[str, list[Kept]] = field(default_factory=dict)
    drift: list[tuple[str, int, float]] = field(default_factory=list)

    def right(self, help_: str) -> float:
        return mean([one.mean_right for one in self.kept[help_]])


def writing_frame(task: str, written: tuple[Token, ...]) -> Frame:
    """While the plan is written: the task, and the plan so far."""
    turns = (Turn("software", ACTS["task"], task), Turn("model", ACTS["plan"], tokens=written))
    return Frame(
        "The model writes its plan.", keyed({"plan_and_steps": Transcript("what is written", turns)}), {}, 0.05
    )


def frame(cut: Cut, found: Findings, progress: float | None) -> Frame:
    views = keyed(
        {
            "plan_and_steps": _transcript(cut, found),
            "what_comes_next": _next(found),
            "the_helps": _helps(found) if found.kept else None,
            "what_disturbs": _drift(found) if found.drift else None,
            "read_for_each_step": _price(cut, found),
            "each_help_each_step": _each(found) if found.kept else None,
            "how_sure": _table(found) if found.kept else None,
        }
    )
    measured = _measured(cut, found) if progress is None else {}
    return Frame(_caption(found), views, measured, progress)


def _transcript(cut: Cut, found: Findings) -> Transcript:
    """The whole text, each stretch under the name of who wrote it."""
    turns: list[Turn] = []
    for piece in found.walk.parts():
        who = _who(piece, found.typed)
        act = YOUR_PLAN if piece.kind == "plan" and found.typed else ACTS[piece.kind]
        tokens = cut(piece.text)
        if turns and turns[-1].who == who == "software":
            turns[-1] = Turn(who, f"{turns[-1].what}, {act}", tokens=turns[-1].tokens + tokens)
        else:
            turns.append(Turn(who, act, tokens=tokens))
    return Transcript("the whole text: a plan, and what was done", tuple(turns))


def _who(piece: Piece, typed: bool) -> Any:
    return "model" if piece.kind == "choice" or (piece.kind == "plan" and not typed) else "software"


def _next(found: Findings) -> Heatmap | None:
    """For each step how likely each step of the plan is to come next: with the help that is shown, and to compare
    without a plan (or with it, if none is shown)."""
    names = (found.walk.help, "plan" if found.walk.help == "none" else "none")
    kept = [found.kept[name][0] for name in names if name in found.kept]
    return _map(found, kept, "how likely each step is to come next") if kept else None


def _each(found: Findings) -> Heatmap:
    return _map(found, [found.kept[name][0] for name in HELPS if name in found.kept], "the same with every help")


def _map(found: Findings, kept: Sequence[Kept], title: str) -> Heatmap:
    steps = range(len(found.errand.plan))
    rows = [row for one in kept for row in one.shares]
    return Heatmap(
        title,
        Array.of(rows),
        "the text asks for",
        "it writes",
        tuple(f"{one.help}, {n + 1}" for one in kept for n in steps),
        tuple(f"{n + 1} {found.errand.plan[n]}" for n in steps),
        "probability",
        texts=tuple(percent(p) if p >= LEAST else "" for row in rows for p in row),
        details=tuple(percent(p) for row in rows for p in row),
        range=(0, 1),
    )


def _helps(found: Findings) -> Bars:
    names = [name for name in HELPS if name in found.kept]
    return Bars(
        "how likely the step that is due is, on average",
        tuple(names),
        tuple(found.right(name) for name in names),
        "probability",
        range=(0, 1),
    )


def _drift(found: Findings) -> Bars:
    return Bars(
        "how likely the step that is due still is, after",
        tuple(name for name, _, _ in found.drift),
        tuple(p for _, _, p in found.drift),
        "probability",
        range=(0, 1),
    )


def _price(cut: Cut, found: Findings) -> Contexts:
    """What is read for each step: all of it, or only what is new where the cache was kept."""
    contexts: list[Context] = []
    old = 0
    for n in range(len(found.walk.chosen)):
        parts: list[Part] = []
        for piece in found.errand.parts(found.walk.chosen[:n], found.walk.help):
            size = len(cut(piece.text))
            parts.append(Part(NAMED[piece.kind], size, NAMED[piece.kind], piece.text))
        total = sum(part.tokens for part in parts)
        contexts.append(Context(f"step {n + 1}, all", tuple(parts)))
        contexts.append(Context(f"step {n + 1}, new", (Part("new", total - old, "new"),)))
        old = total
    return Contexts("what is read for each step", tuple(contexts))


def read_per_step(contexts: Contexts) -> tuple[list[int], list[int]]:
    """Tokens read for each step: sent again from the start, and with the cache kept."""
    sizes = [sum(part.tokens for part in context.parts) for context in contexts.contexts]
    return sizes[::2], sizes[1::2]


def _table(found: Findings) -> Table:
    rows: list[tuple[Scalar, ...]] = []
    for name, kept in found.kept.items():
        right, tried = sum(one.likeliest for one in kept), len(kept) * len(found.errand.plan)
        low, high = wilson(right, tried)
        rows.append(
            (
                name,
                f"{right} of {tried}",
                f"{percent(low)} to {percent(high)}",
                percent(found.right(name)),
                percent(mean([one.repeats for one in kept])),
                NOTHING if kept[0].attention is None else percent(kept[0].attention),
            )
        )
    columns = ("help", "right first", "true rate (95 %)", "step due", "repeats the last", "looks at plan")
    return Table("how sure this is", columns, tuple(rows))


def _caption(found: Findings) -> str:
    steps = ", ".join(found.walk.chosen)
    return f"It does: {steps}."[:110] if steps else "The plan is text; next it is carried out."


def _measured(cut: Cut, found: Findings) -> dict[str, Any]:
    walk, kept = found.walk, found.kept
    right = {name: found.right(name) for name in kept}
    done = {name: mean([one.before_a_slip for one in orders]) for name, orders in kept.items()}
    sizes: dict[str, int] = {"model": 0, "software": 0}
    for piece in walk.parts():
        sizes[_who(piece, found.typed)] += len(cut(piece.text))
    whole, new = read_per_step(_price(cut, found))
    drift = {name: p for name, _, p in found.drift}
    short, long = list(drift)[2:]
    return {
        "plan_text": ", ".join(found.errand.plan),
        "plan_is_its_own": not found.typed,
        "steps_completed": found.errand.due(walk.chosen),
        "steps_total": len(found.errand.plan),
        "called": ", ".join(walk.chosen),
        "p_right_step": right[walk.help],
        "p_right_step_by_help": right,
        "p_right_without_plan": right["none"],
        "p_right_with_plan": right["plan"],
        "p_right_with_plan_again": right["plan again"],
        "p_right_with_checklist": right["checklist"],
        "p_right_with_next_step": right["next step"],
        "p_repeats_with_plan_again": mean([one.repeats for one in kept["plan again"]]),
        "plan_is_found": walk.help != "none" and right[walk.help] >= FOUND,
        "plan_is_lost": walk.help != "none" and right[walk.help] < FOUND,
        "few_tokens_are_enough": drift[UNDISTURBED] - drift[short] > max(drift[short] - drift[long], 0.0),
        "success_by_variant": {name: mean([one.all_right for one in orders]) for name, orders in kept.items()},
        "steps_by_variant": done,
        "steps_with_plan": done["plan"],
        "steps_with_checklist": done["checklist"],
        "gain_by_checklist": right["checklist"] - right["plan"],
        "p_gain_by_next_step": right["next step"] - right["plan"],
        **_attention(found),
        "p_right_undisturbed": drift[UNDISTURBED],
        "p_right_after_lookalikes": drift[ALIKE],
        "p_right_after_a_line": drift[short],
        "p_right_after_a_page": drift[long],
        "lookalikes_are_worse": drift[short] - drift[ALIKE] > CLEAR,
        "lookalike_tokens": found.drift[1][1],
        "tokens_read_per_step": whole,
        "new_tokens_per_step": new,
        "tokens_sent_again": sum(whole),
        "tokens_with_cache": sum(new),
        "context_tokens": sizes["model"] + sizes["software"],
        "tokens_by_model": sizes["model"] - walk.forced,
        "tokens_by_grammar": walk.forced,
        "tokens_by_software": sizes["software"],
        "trials": len(kept["plan"]),
    }


def _attention(found: Findings) -> dict[str, Any]:
    """That on the plan, if somebody could look at it."""
    by_help = {name: orders[0].attention for name, orders in found.kept.items()}
    if None in by_help.values():
        return {}
    return {"plan_attention_mass": by_help[found.walk.help], "attention_by_variant": by_help}
