"""The trip of a message as it is drawn: which parts are lit, and what each hands on, in one short line."""

from __future__ import annotations

from collections.abc import Sequence

from llm_holes.engine.frames import Flow, Stage, StageState
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.engine.spelling import spelt

HOLES = {
    "chat template": "memory",
    "tokens": "tokens",
    "embedding": "embeddings",
    "layers": "model-layers",
    "logits": "final-vector-to-token",
    "pick one": "prefill-decode",
    "stop": "stopping",
}
"""The parts in order, and the lesson behind each."""
ORDER = list(HOLES)
LOOP = ORDER.index("embedding"), ORDER.index("pick one")
"""The id that was picked goes back to the table, not to the tokenizer."""
SHOWN_IDS = 6
SHOWN_SCORES = 2


class Stages:
    """Each method lights one part and says what it hands on; the part after it is the one at work."""

    def __init__(self) -> None:
        self._parts = {name: Stage(name, hole=hole) for name, hole in HOLES.items()}
        self._turns = 0

    def view(self) -> Flow:
        return Flow("from your message to the answer", tuple(self._parts.values()), LOOP, self._turns)

    def template(self, text: str, message: str, why_bare: str, ms: float) -> None:
        """`why_bare` says why no template was used, "" if one was."""
        added = len(text) - len(message)
        line = (
            f"text: {plural(len(message), 'character')} of yours + {added:,} around them"
            if not why_bare
            else f"{why_bare}: the bare text goes in"
        )
        self._done("chat template", line, ms)

    def tokens(self, ids: Sequence[int], ms: float) -> None:
        more = " …" if len(ids) > SHOWN_IDS else ""
        self._done("tokens", f"{plural(len(ids), 'id')}: {' '.join(map(str, ids[:SHOWN_IDS]))}{more}", ms)

    def embedding(self, positions: int, width: int, ms: float) -> None:
        self._done("embedding", f"{plural(positions, 'vector')} of {width:,} numbers", ms)

    def reading(self, read: int, total: int, ms: float) -> None:
        self._light("layers", "running", f"{read:,} of {total:,} tokens read", ms)

    def layers(self, count: int, norms: Sequence[float], ms: float) -> None:
        """`norms`: of the last position's vector, entering the first layer and after each."""
        grown = f"length of the last: {figure(norms[0])} to {figure(norms[-1])}"
        self._done("layers", f"vectors, changed {plural(count, 'time')}; {grown}", ms)

    def turn(self, turn: int, scores: int, best: Sequence[tuple[str, float]], ms: float) -> None:
        """The distribution of one turn of the loop, after a pass that took `ms`."""
        if turn > 1:
            self._light("layers", "done", f"pass {turn}: one vector, changed by all layers", ms)
        likely = ", ".join(f"{spelt(text)} {percent(p)}" for text, p in best[:SHOWN_SCORES])
        self._done("logits", f"{plural(scores, 'score')}: {likely} …", None)

    def pick(self, text: str, token: int, rank: int) -> None:
        which = "the likeliest" if rank == 1 else f"number {rank:,} of the ranking"
        self._done("pick one", f"{spelt(text)}, id {token}, {which}", None)

    def loop(self, token: int) -> None:
        """The token is not the last one: its id goes back."""
        self._turns += 1
        self._light("stop", "running", f"not yet: id {token} goes back and picks its row", None)

    def stop(self, reason: str, passes: int, ms: float) -> None:
        self._done("layers", f"vectors; {plural(passes, 'pass', 'passes')} in all", ms)
        self._done("stop", reason, None)

    def _done(self, name: str, produced: str, ms: float | None) -> None:
        """Lights the part after it too, if it is only now its turn."""
        self._light(name, "done", produced, ms)
        for following in ORDER[ORDER.index(name) + 1 :][:1]:
            if self._parts[following].state == "waiting":
                self._light(following, "running", "", None)

    def _light(self, name: str, state: StageState, produced: str, ms: float | None) -> None:
        self._parts[name] = Stage(name, state, produced, ms, HOLES[name])
