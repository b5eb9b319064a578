"""Who reads whose keys: the drawing of query heads over the heads of keys and values they share."""

from __future__ import annotations

from llm_holes.engine.frames import Text
from llm_holes.engine.model.config import Config
from llm_holes.engine.numbers import plural, size

SHOWN = 9
"""Query heads drawn; of more, the first ones and dots."""


def who_shares(config: Config) -> Text:
    """The model's query heads three times: with keys and values of their own, as built, and one for all."""
    ways = {config.n_heads: "one each", config.n_kv_heads: "as built", 1: "one for all"}
    per_head = config.kv_bytes_per_token() / config.n_kv_heads
    blocks = []
    for kv_heads, name in sorted(ways.items(), reverse=True):
        kept = (
            f"{name}:",
            plural(kv_heads, "key and value", "keys and values"),
            f"{size(per_head * kv_heads)} a token",
        )
        rows = zip(drawn(config.n_heads, kv_heads), kept, strict=True)
        blocks.append("\n".join(f"{row}   {said}" for row, said in rows))
    return Text("query heads (Q) and the heads of keys and values (KV) that they read", "\n\n".join(blocks))


def drawn(n_heads: int, kv_heads: int) -> tuple[str, str, str]:
    """Three lines of one width: query heads, who of them share, and the head of keys and values below each group."""
    group = n_heads // kv_heads
    shown = min(n_heads, SHOWN if group > SHOWN else SHOWN // group * group)
    cell = len(f"KV{kv_heads - 1} ") if group == 1 else len(f"Q{shown - 1} ") + (1 if shown <= 10 else 0)
    heads = "".join(f"Q{n}".center(cell) for n in range(shown))
    lines, owners = "", ""
    for first in range(0, shown, group):
        count = min(group, shown - first)
        open_end = count < group
        lines += _bracket(count, cell, open_end)
        owners += f"KV{first // group}".center(count * cell)
    rest = " …" if shown < n_heads else "  "
    return heads + rest, lines + "  ", owners + rest


def _bracket(count: int, cell: int, open_end: bool) -> str:
    """Lines from `count` heads, a cell each, to the middle below them; they run on where more heads follow."""
    width = count * cell
    ends = [n * cell + (cell - 1) // 2 for n in range(count)]
    middle = (width - 1) // 2
    if count == 1:
        return "│".rjust(ends[0] + 1).ljust(width)
    marks = dict.fromkeys(ends, "┴") | {ends[0]: "└", ends[-1]: "┴" if open_end else "┘"}
    marks[middle] = "┼" if middle in ends[1:-1] else "┬"
    until = width if open_end else ends[-1] + 1
    return "".join(marks.get(x, "─") if ends[0] <= x < until else " " for x in range(width))
