"""A served model writes a plan and carries it out: each step is a choice among its steps, by the chances it tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from msgspec import structs

from llm_holes.engine.backends.backend import Ask, Backend, Capability, Ended, stream
from llm_holes.engine.frames import Frame, Text, Token
from llm_holes.lessons.shared.asking import token_of
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.tier2.planning.carrying import carried_out
from llm_holes.lessons.tier2.planning.followed import as_note
from llm_holes.lessons.tier2.planning.served_chooser import ServedChooser, in_tokens
from llm_holes.lessons.tier2.planning.views import writing_frame
from llm_holes.lessons.tier2.planning.written_plan import BEGINNING, FIRST, MOST_TOKENS, bare, is_whole, plan_of, talk

NEEDS: frozenset[Capability] = frozenset({"completions", "tokenize", "top 20"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    "plan and steps": frozenset(),
    "what comes next": frozenset(),
    "the helps": frozenset(),
    "what disturbs": frozenset(),
    "read for each step": frozenset(),
}
BETS = frozenset({"p_right_step", "p_gain_by_next_step"})
UNSEEN: Mapping[str, str] = {}
CONNECTIONS = 1
NOT_TOLD = Text(
    "what is not told",
    "Some steps begin with a token so unlikely that the server does not tell its chance. It counts as likely as the "
    "last one that is told, so that these steps look likelier than they are.",
    key="what is not told",
)


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    cut = cache(backend.encode)
    wrote = FIRST
    if not p["plan"].strip():
        for text, written in _writing(backend, p["text"], p["steps"]):
            wrote = text
            yield writing_frame(p["text"], (*cut(FIRST), *written))
    plan = plan_of(p["plan"], wrote, p["steps"])

    @cache
    def note(count: int) -> str:
        return as_note(in_tokens(backend, passage(), count))

    chooser = ServedChooser(backend, plan)
    for frame in carried_out(chooser, plan, cut, note, p):
        yield structs.replace(frame, views=(*frame.views, *([NOT_TOLD] if chooser.untold else [])))


def _writing(backend: Backend, task: str, most: int) -> Iterator[tuple[str, tuple[Token, ...]]]:
    """The plan so far, and the tokens of it that the model wrote; software stops it after the last step."""
    before = backend.rendered(talk(task)) if "template" in backend.capabilities else bare(task)
    text, tokens = FIRST, list[Token]()
    for piece in stream(backend, Ask(f"{before}{BEGINNING}", MOST_TOKENS, 1)):
        if isinstance(piece, Ended):
            return
        text += piece.text
        tokens += [token_of(one.token) for one in piece.tokens]
        yield text, tuple(tokens)
        if is_whole(text, most):
            return
