"""What is measured of one answer, read behind one request or another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Heatmap, Text
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.tier4.stopping import pictures
from llm_holes.lessons.tier4.stopping.requests import (
    each_p,
    end_tokens,
    p_end,
    places,
    without_number,
)
from llm_holes.lessons.tier4.stopping.text_ends import number_in, value_of, variants

MATTERS = 0.7
"""What falls below this part of what it was has changed enough to speak of."""
UNUSED = 0.1
FAR = 0.03
DARK, LIKELY = 0.2, 0.2


def prompt_for(engine: Engine, p: Mapping[str, Any], message: str, more: int) -> list[int]:
    return engine.chat(message, more) if p["chat_template"] else engine.encode(message, more)


def asked_for(engine: Engine, p: Mapping[str, Any], read: Sequence[int], ends: Sequence[int]) -> Heatmap:
    """P(end) at each end of the answer read, under each of the requests."""
    rows: dict[str, list[float]] = {}
    for number, message in variants(p["text"]).items():
        prompt = prompt_for(engine, p, message, len(read))
        model = without_number(engine, prompt, message) if p["hide_number"] else engine
        found = p_end(model, prompt, read)
        rows[number] = [found[end] for end in ends]
    return pictures.by_request(engine, rows, read, ends, number_in(p["text"]), p["hide_number"])


def of_the_request(engine: Engine, p: Mapping[str, Any], read: Sequence[int], ends: Sequence[int]) -> dict[str, Any]:
    """Where in the answer read the end is likeliest, and how likely it is there without the number."""
    prompt = prompt_for(engine, p, p["text"], len(read))
    found = p_end(engine, prompt, read)
    seen = [found[end] for end in ends]
    peak = max(range(len(ends)), key=seen.__getitem__)
    number, blinded = number_in(p["text"]), p_end(without_number(engine, prompt, p["text"]), prompt, read)[ends[peak]]
    return {
        "p_end_per_boundary": seen,
        "boundary_of_peak": peak + 1,
        "peak_as_asked": peak + 1 == value_of(number) and seen[peak] > LIKELY and not p["hide_number"],
        "dark_before_peak": peak > 0 and max(seen[:peak]) < min(DARK, seen[peak]) and not p["hide_number"],
        "map_shows": "the number hidden" if p["hide_number"] else "nothing to read" if ends == [0] else "the peak",
        "p_end_before_peak": max(seen[:peak], default=0.0),
        "p_end_at_peak": seen[peak],
        "p_end_at_peak_blinded": blinded,
        "names_number": bool(number),
        "hidden": f"the number {spelt(number)}" if number else "the message",
        "look": look_at_number(seen[peak], blinded) if places(engine, prompt, p["text"]) else "nothing to hide",
    }


def look_at_number(seen: float, blinded: float) -> str:
    """What the end makes of the look at the number."""
    if max(seen, blinded) < FAR:
        return "far from an end"
    if blinded < MATTERS * seen:
        return "needed"
    return "in the way" if seen < MATTERS * blinded else "hardly"


def both_ends(
    engine: Engine, p: Mapping[str, Any], read: Sequence[int], ends: Sequence[int], peak: int
) -> tuple[Heatmap | Text, dict[str, Any]]:
    """Every end token after each line of the answer read, as a reply in a chat and as bare text."""
    tokens, rows = end_tokens(engine), dict[str, list[list[float]]]()
    if engine.tokenizer.has_chat:
        rows["in a chat"] = each_p(engine, engine.chat(p["text"], len(read)), read, tokens)
    if p["text"]:
        rows["as bare text"] = each_p(engine, engine.encode(p["text"], len(read)), read, tokens)
    at = {way: [found[ends[peak]] for found in each] for way, each in rows.items()}
    chat, bare = at.get("in a chat", []), at.get("as bare text", [])
    other = chat[1:] or bare[1:]
    return pictures.two_ends(engine, rows, tokens, ends), {
        "end_tokens": [engine.token_text(token) for token in tokens],
        "other_end": engine.token_text(tokens[1]) if other else "",
        "other_end_unused": bool(other) and other[0] < UNUSED * (chat or bare)[0],
        "p_end_at_peak_chat": sum(chat[:1]),
        "p_end_at_peak_bare": sum(bare[:1]),
        "p_other_end_at_peak": sum(other[:1]),
        "both_ways": bool(chat and bare),
    }
