"""The programs around the model, from one message to the next: what each did this time, and the lesson behind it."""

from __future__ import annotations

from collections.abc import Mapping

from llm_holes.engine.frames import Flow, Stage
from llm_holes.engine.numbers import plural
from llm_holes.lessons.tier0.what_happens.conversation import SYSTEM, TEMPLATE, NextTurn


def machine_around(
    sources: Mapping[str, int], passes: int, model_ms: float, written: bytes, answer: str, following: NextTurn
) -> Flow:
    """`sources` are the tokens of the prompt, `written` the bytes of the answer's tokens; of the parts with nothing to
    do here it is said what they would do."""
    added = sources[TEMPLATE] + sources[SYSTEM]
    around = f"put {plural(added, 'token')} around your message" if added else "not used: the bare text went in"
    text = f"{plural(len(written), 'byte')} became {plural(len(answer), 'character')}"
    stages = (
        Stage("memory", "waiting", "no notes to paste in", hole="memory"),
        Stage("skills", "waiting", "no files of instructions to put in", hole="skills"),
        Stage("chat template", "done", around, hole="stopping"),
        Stage("tokenizer", "done", f"text became {plural(sum(sources.values()), 'number')}", hole="tokenization"),
        Stage("the model", "done", f"{plural(passes, 'pass', 'passes')}, a number each", model_ms, "prefill-decode"),
        Stage("numbers to text", "done", text, hole="tokens"),
        Stage("tool calls", "waiting", "no tools here, so no call to look for", hole="tool-calls"),
        Stage("next message", "done" if following.ids else "waiting", _next(following), hole="kv-cache"),
    )
    return Flow("from one message to the next", stages, (0, len(stages) - 1), 1 if following.ids else 0)


def _next(following: NextTurn) -> str:
    if not following.ids:
        return "nothing was asked"
    new = len(following.ids) - following.kept
    return f"{plural(len(following.ids), 'token')} sent, {new:,} of them new to the cache"
