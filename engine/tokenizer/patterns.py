"""How much work a regular expression can make, told from how it is written.

The library behind tokenizer.json (Oniguruma) tries all ways to match. Loops that can share the same characters among
them in many ways, one in another or one beside another, take a time that grows with a high power of the text's length.
Oniguruma gives up after ten million tries at one place, which ends in an error; what is refused here would come near to
that at every place. Syntax: https://github.com/kkos/oniguruma/blob/master/doc/RE
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_PATTERN = 2**14
MAX_SIZE = 2**14
MAX_DEPTH = 50
FEW = 16
"""Repetitions that are no loop."""
MAX_LOOPS = 2
MAX_WAYS = 2**15
CALL = re.compile(r"\\(?:[1-9]|[kg][<'])|\(\?~|\(\?\(")
GROUP = re.compile(r"\((?:\?(?:[:=!>]|<[=!]|<\w+>|[a-zA-Z-]*[:)]|#[^)]*\)))?")
ESCAPE = re.compile(r"\\(?:[pP]\{\^?\w+\}|x\{[^}]*\}|.)", re.DOTALL)
COUNT = re.compile(r"\{(\d*)(,?)(\d*)\}")
NO_WIDTH = {"^", "$", r"\b", r"\B", r"\A", r"\z", r"\Z", r"\G"}


class Part(NamedTuple):
    """Of a pattern: the fewest characters it matches; how many loops follow each other in it with nothing between them
    that must be there; whether it has something that must be there besides loops; whether it may not match; in how many
    ways, besides its loops, it can match at one place; its size with repetitions written out."""

    least: int = 0
    loops: int = 0
    fixed: bool = False
    fails: bool = False
    ways: int = 1
    size: int = 0


CHARACTER = Part(1, 0, fixed=True, fails=True, ways=1, size=1)
PLACE = Part(fails=True)


def measured(pattern: str) -> Part:
    """What the pattern is made of. Raises ValueError for one that can take too long."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern of {len(pattern):,} characters")
    if found := CALL.search(pattern):
        raise ValueError(f"the pattern {pattern!r:.80}, which refers to itself by {found[0]!r}")
    reader = _Reader(pattern)
    part = reader.alternatives()
    if reader.at < len(pattern):
        raise ValueError(f"the pattern {pattern!r:.80}, which is none")
    if part.loops > MAX_LOOPS or part.ways > MAX_WAYS or part.size > MAX_SIZE:
        raise ValueError(f"the pattern {pattern!r:.80}, which can take too long")
    return part


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.depth = 0

    def alternatives(self) -> Part:
        """Up to the end, or to the parenthesis that closes the group."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"the pattern {self.pattern!r:.80}, which is nested too deeply")
        found = [self.sequence()]
        while self.take("|"):
            found.append(self.sequence())
        self.depth -= 1
        return Part(
            min(part.least for part in found),
            max(part.loops for part in found),
            all(part.fixed for part in found),
            all(part.fails for part in found),
            sum(part.ways for part in found),
            sum(part.size for part in found),
        )

    def sequence(self) -> Part:
        least = run = loops = size = 0
        ways = 1
        fixed = fails = False
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            part = self.repeated()
            # where this does not match, all ways to share the characters before it are tried
            after = run + part.loops + (run == MAX_LOOPS and part.fails)
            loops, run = max(loops, after), part.loops if part.fixed else run + part.loops
            least, size, ways = least + part.least, size + part.size, min(ways * part.ways, MAX_WAYS + 1)
            fixed, fails = fixed or part.fixed, fails or part.fails
        return Part(least, loops, fixed, fails, ways, size)

    def repeated(self) -> Part:
        part = self.single()
        while (times := self.times()) is not None:
            part = self.times_over(part, *times)
        return part

    def times_over(self, part: Part, low: int, high: int | None) -> Part:
        least, fails = part.least * low, part.fails and low > 0
        if high is not None and (high <= FEW or (low == high and part.fixed)):
            ways = min(part.ways ** min(high, FEW) * (high - low + 1), MAX_WAYS + 1)
            return Part(least, part.loops, part.fixed and low > 0, fails, ways, part.size * max(1, high))
        if not part.fixed:
            raise ValueError(f"the pattern {self.pattern!r:.80}, which has loops in loops")
        return Part(least, 1, fixed=False, fails=fails, ways=part.ways, size=part.size * max(1, low))

    def times(self) -> tuple[int, int | None] | None:
        """The fewest and the most repetitions that follow, if any; None for no limit."""
        found = COUNT.match(self.pattern, self.at)
        if found and (found[1] or found[3]):
            self.at = found.end()
            low = int(found[1] or 0)
            high = low if not found[2] else int(found[3]) if found[3] else None
            self.take("?")
            return low, high
        for sign, bounds in {"*": (0, None), "+": (1, None), "?": (0, 1)}.items():
            if self.take(sign):
                # lazy, or without going back
                self.take("?") or self.take("+")
                return bounds
        return None

    def single(self) -> Part:
        start = self.pattern[self.at]
        if start == "(":
            return self.group()
        if start == "[":
            self.skip_class()
            return CHARACTER
        found = ESCAPE.match(self.pattern, self.at)
        text = found[0] if found else start
        self.at += len(text)
        return PLACE if text in NO_WIDTH else CHARACTER

    def group(self) -> Part:
        opening = GROUP.match(self.pattern, self.at)
        assert opening is not None
        self.at = opening.end()
        if opening[0].endswith(")"):  # a comment, or options for what follows
            return Part()
        part = self.alternatives()
        self.take(")")
        looks = opening[0] in ("(?=", "(?!", "(?<=", "(?<!")
        return part._replace(least=0, fixed=False, fails=True) if looks else part

    def skip_class(self) -> None:
        depth = 0
        while self.at < len(self.pattern):
            found = ESCAPE.match(self.pattern, self.at)
            text = found[0] if found else self.pattern[self.at]
            self.at += len(text)
            depth += {"[": 1, "]": -1}.get(text, 0)
            if depth == 0:
                return

    def take(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found
