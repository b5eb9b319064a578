"""The answer as it is drawn: what else could have stood at each place, beside its own way, token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Array, Diff, Heatmap, Tokens
from llm_holes.engine.numbers import percent
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.tier0.what_happens.branch import Branch

SHOWN_PROMPT = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """One turn of the loop. `rank` 1 is the likeliest; `ms` is the pass that led to it."""

    token: int
    p: float
    rank: int
    best: tuple[tuple[int, float], ...]
    ms: float


def candidates(engine: Engine, choices: Sequence[Choice], picked_at: int, branch: Branch) -> Heatmap:
    """Below each token of the answer the likeliest at its place. Enter on one takes it there."""
    title = f"on its own: {branch.answer}" if branch.at else "what could have stood at each place; enter takes it"
    ranks = range(len(choices[0].best))
    cells = [(choice, *choice.best[rank]) for rank in ranks for choice in choices]
    at = choices[picked_at - 1].rank - 1 if 0 < picked_at <= len(choices) else 0
    return Heatmap(
        " ".join(title.split()),
        Array.of([[choice.best[rank][1] for choice in choices] for rank in ranks]),
        row_label="rank",
        column_label="token",
        column_names=tuple(engine.token_text(choice.token) for choice in choices),
        unit="probability",
        row_control="pick_rank",
        column_control="pick_step",
        cursor=(min(at, len(ranks) - 1), max(min(picked_at, len(choices)), 1) - 1),
        texts=tuple(engine.token_text(token) for _, token, _ in cells),
        details=tuple(_detail(engine, *cell) for cell in cells),
        first=1,
    )


def _detail(engine: Engine, choice: Choice, token: int, p: float) -> str:
    taken = "taken" if token == choice.token else "enter goes on from here"
    return f"{spelt(engine.token_text(token))} {percent(p)}, {taken}"


def both_answers(answer: str, branch: Branch) -> Diff:
    title = f"the answer, parted at token {branch.at}" if branch.at else "the answer; nobody interfered"
    return Diff(title, branch.answer if branch.at else answer, answer, "on its own", "with what you chose")


def the_answer(engine: Engine, choices: Sequence[Choice]) -> Tokens:
    notes = [f"{percent(choice.p)}, number {choice.rank:,} in the ranking" for choice in choices]
    written = engine.tokens([choice.token for choice in choices], notes)
    return Tokens("the answer, token by token", written, tuple(choice.p for choice in choices), "probability")


def what_it_reads(engine: Engine, prompt: Sequence[int]) -> Tokens:
    end = prompt[-SHOWN_PROMPT:]
    title = "what the model is given" if len(end) == len(prompt) else f"the last {SHOWN_PROMPT} tokens it is given"
    return Tokens(title, engine.tokens(end))
