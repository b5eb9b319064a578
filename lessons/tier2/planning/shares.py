"""How likely each of a few steps is where nothing but one of them may be written: as in a forced tool call, a token is
allowed only if it goes on with one of them. No torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, TypeVar

from llm_holes.lessons.tier2.planning.helps import Part

K = TypeVar("K", bound=Hashable)


class Chooses(Protocol):
    """A model that takes one of the steps in `options`."""

    @property
    def options(self) -> tuple[str, ...]: ...

    def shares(self, parts: Sequence[Part]) -> list[float]:
        """How likely each option is after the text; together they are certain."""

    def forced(self, choice: str) -> int:
        """How many tokens of an option were no choice: after those before them only one token was allowed."""

    def attention(self, parts: Sequence[Part], kinds: set[str]) -> float | None:
        """The mean over layers and heads of the weight on the parts of these kinds, at the last token of the text;
        None where nobody can look at it."""


def shared_out(
    endings: Sequence[Sequence[K]], chances: Callable[[Sequence[K], Sequence[K]], Sequence[float]]
) -> list[float]:
    """The share of each option, given as its tokens. `chances` says how likely each of some tokens is, among them
    alone, after other tokens that were written before."""
    found = _shared_out(endings, chances, list(range(len(endings))), 0)
    return [found[option] for option in range(len(endings))]


def forced_in(ending: Sequence[K], endings: Sequence[Sequence[K]]) -> int:
    """How many tokens of an ending were no choice."""
    return sum(len({other[at] for other in endings if other[:at] == ending[:at]}) == 1 for at in range(len(ending)))


def _shared_out(
    endings: Sequence[Sequence[K]],
    chances: Callable[[Sequence[K], Sequence[K]], Sequence[float]],
    among: list[int],
    at: int,
) -> dict[int, float]:
    """The shares of the options `among`, which have the same first `at` tokens."""
    if len(among) == 1:
        return {among[0]: 1.0}
    groups: dict[K, list[int]] = defaultdict(list)
    for option in among:
        groups[endings[option][at]].append(option)
    if len(groups) == 1:
        return _shared_out(endings, chances, among, at + 1)
    found: dict[int, float] = {}
    for p, group in zip(chances(endings[among[0]][:at], list(groups)), groups.values(), strict=True):
        found |= {option: p * share for option, share in _shared_out(endings, chances, group, at + 1).items()}
    return found
