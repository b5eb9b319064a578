"""Our two themes' colours by what they mean: greys, one for what the learner acts on, one for what was measured."""

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
}
