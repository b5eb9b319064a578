"""Our two themes' colours by what they mean: greys, one for what the learner acts on, one for what was measured, and
six muted hues that tell tokens, requests and heads apart, each of which also has a letter or a mark."""

from __future__ import annotations

DARK = {
    "ink": "#c9cdd6",
    "ground": "#15171c",
    "act": "#82aee8",
    "measured": "#e3b36b",
    "muted": "#7d8492",
    "faint": "#3a3f4a",
    "strong": "#eceff4",
    "chip": "#262a33",
    "chip-other": "#323743",
    "hue0": "#7fb5a8",
    "hue1": "#b79ad1",
    "hue2": "#c4a97a",
    "hue3": "#88a9d6",
    "hue4": "#cf8f96",
    "hue5": "#9dba7c",
}
LIGHT = {
    "ink": "#33373f",
    "ground": "#faf9f6",
    "act": "#1f5fb4",
    "measured": "#a05a00",
    "muted": "#6d737e",
    "faint": "#cfcdc7",
    "strong": "#111318",
    "chip": "#ebe9e4",
    "chip-other": "#dedbd4",
    "hue0": "#2f7d6d",
    "hue1": "#7a52a0",
    "hue2": "#8a6a2a",
    "hue3": "#3f68a6",
    "hue4": "#a34c57",
    "hue5": "#547a2c",
}
HUES = tuple(f"hue{n}" for n in range(6))


def hue_of(name: str) -> str:
    """The hue of who bears this name, the same in every picture; neighbours in the alphabet differ."""
    return HUES[sum(map(ord, name)) % len(HUES)]
