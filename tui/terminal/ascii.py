"""Characters for terminals that have few: each has a twin of the same width in ASCII."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from unicodedata import normalize

TWINS = {
    **dict(zip("▁▂▃▄▅▆▇█", "_.:=+*%#", strict=True)),
    **dict(zip("·░▒▓", ".:+%", strict=True)),
    **dict.fromkeys("─╌┈━═▔⎯–—−‒", "-"),
    **dict.fromkeys("│┊┃║▏▕▎▍⋮‖", "|"),
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛╔╗╚╝", "+"),
    **dict.fromkeys("▉▊▋▌▐■▣▚▛▜▙▟▞", "#"),
    **dict.fromkeys("▀▝▘", "'"),
    "•": ".",
    **dict.fromkeys("▸▶›→⇥»", ">"),
    **dict.fromkeys("◂◀‹←«", "<"),
    **dict.fromkeys("▴▲△↑↗↖", "^"),
    **dict.fromkeys("▾▼▽↓↘↙", "v"),
    **dict.fromkeys("●◉◆", "*"),
    **dict.fromkeys("○◌◇□◐◑°∅", "o"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’‚", "'"),
    **dict.fromkeys("⏎↵", "/"),
    "↺": "@", "✓": "v", "✗": "x", "×": "x", "…": ".", "√": "V", "∞": "8", "÷": "/", "±": "~", "≈": "~", "≤": "<",
    "≥": ">", "≠": "#", "µ": "u", "ᵀ": "T",
}  # fmt: skip
BRAILLE = range(0x2800, 0x2900)
UPPER, LOWER = 0x1B, 0xE4
"""The dots in the upper and in the lower half of a braille cell."""
LEVEL = (0x12, 0x24)
"""Both dots of a row in the middle."""


def written_in(encoding: str) -> Callable[[str], str]:
    """What gives a text the twins of characters that the encoding lacks."""
    table = _Twins(encoding)
    return lambda text: text if text.isascii() else text.translate(table)


class _Twins(dict[int, str]):
    """Filled as characters turn up."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    def __missing__(self, code: int) -> str:
        character = chr(code)
        try:
            character.encode(self._encoding)
            shown = character
        except UnicodeEncodeError:
            shown = twin(character)
        self[code] = shown
        return shown


@cache
def twin(character: str) -> str:
    """ASCII as wide as the character: its likeness, its letter without marks, or ?."""
    from rich.cells import cell_len  # what prints plain letters need not wait for it

    width = cell_len(character)
    if ord(character) in BRAILLE:
        return _dots(ord(character) - BRAILLE.start)
    if character in TWINS:
        return TWINS[character]
    letters = normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letters if len(letters) == width == 1 and letters.isalnum() else "?" * width


def _dots(dots: int) -> str:
    if dots in LEVEL:
        return "-"
    upper, lower = (dots & UPPER).bit_count(), (dots & LOWER).bit_count()
    if upper and lower:
        return "#" if upper + lower > 5 else ":"
    return "'" if upper else "." if lower else " "
