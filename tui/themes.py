"""Our two themes: greys, one colour for what the learner can act on, one for what was measured."""

from __future__ import annotations

from dataclasses import replace

from textual.theme import Theme

from llm_holes.tui.draw import colours

DARK = Theme(
    name="holes-dark",
    primary="#7aa2d8",
    secondary="#8a919e",
    accent="#7aa2d8",
    warning="#e0b070",
    error="#d8dbe2",
    success="#7aa2d8",
    foreground=colours.DARK["ink"],
    background=colours.DARK["ground"],
    surface="#15171c",
    panel="#1d2027",
    dark=True,
    variables={
        **colours.DARK,
        "cursor-ink": "#101216",
        "block-cursor-foreground": "#eceff4",
        "block-cursor-background": "#2b3547",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#23272f",
        "input-selection-background": "#82aee8 30%",
        "scrollbar": "#3a3f4a",
        "scrollbar-background": "#15171c",
        "scrollbar-background-hover": "#15171c",
        "scrollbar-background-active": "#15171c",
        "scrollbar-corner-color": "#15171c",
        "link-color": "#82aee8",
        "link-background-hover": "#82aee8",
    },
)

LIGHT = Theme(
    name="holes-light",
    primary="#2f62a8",
    secondary="#5d6470",
    accent="#2f62a8",
    warning="#9a5b00",
    error="#23262c",
    success="#2f62a8",
    foreground=colours.LIGHT["ink"],
    background=colours.LIGHT["ground"],
    surface="#faf9f6",
    panel="#f0eeea",
    dark=False,
    variables={
        **colours.LIGHT,
        "cursor-ink": "#ffffff",
        "block-cursor-foreground": "#111318",
        "block-cursor-background": "#d9e4f2",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#eae8e3",
        "input-selection-background": "#1f5fb4 25%",
        "scrollbar": "#cfcdc7",
        "scrollbar-background": "#faf9f6",
        "scrollbar-background-hover": "#faf9f6",
        "scrollbar-background-active": "#faf9f6",
        "scrollbar-corner-color": "#faf9f6",
        "link-color": "#1f5fb4",
        "link-background-hover": "#1f5fb4",
    },
)

DEFAULTS = {
    "act": "$primary",
    "measured": "$warning",
    "muted": "$foreground 60%",
    "faint": "$foreground 20%",
    "strong": "$foreground",
    "chip": "$panel",
    "chip-other": "$boost",
    "cursor-ink": "$background",
    **dict.fromkeys(colours.HUES, "$foreground"),
}
"""For themes that are not ours (TEXTUAL_THEME)."""


SIXTEEN = {
    True: {"act": "#00cdcd", "measured": "#cdcd00", "muted": "#7f7f7f", "faint": "#7f7f7f", "strong": "#ffffff"},
    False: {"act": "#0000ee", "measured": "#cd00cd", "muted": "#7f7f7f", "faint": "#7f7f7f", "strong": "#000000"},
}
"""Colours that terminals with sixteen of them have: the nearest ones to ours would all be grey."""


def for_terminal(theme: Theme, sixteen: bool) -> Theme:
    if not sixteen:
        return theme
    plain = dict.fromkeys(colours.HUES, theme.variables["ink"])
    return replace(theme, variables=theme.variables | plain | SIXTEEN[theme.dark])
