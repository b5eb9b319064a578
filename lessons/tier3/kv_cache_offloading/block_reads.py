"""Pictures of which blocks of a cache were found in memory."""

from __future__ import annotations

from llm_holes.engine.frames import Array, Block, Blocks, Heatmap
from llm_holes.engine.kvcache.offloaded import OffloadedCache
from llm_holes.engine.numbers import percent

LEGEND = "+█ found in memory in all layers · +▄ in half of them · !_ fetched in all"


def reads_views(cache: OffloadedCache, block_size: int) -> tuple[Blocks, Heatmap]:
    """The blocks the last token read, and the share of layers in which each token found each block."""
    places = sorted({place for place, _ in cache.hits | cache.misses})
    blocks = range(max(block for _, block in cache.hits | cache.misses) + 1)

    def share(place: int, block: int) -> float:
        hits, misses = cache.hits[place, block], cache.misses[place, block]
        return hits / (hits + misses) if hits + misses else float("nan")

    last = Blocks(
        f"which blocks the token at {places[-1]} found in memory",
        tuple(
            Block(
                ("+" if share(places[-1], block) >= 0.5 else "!",),
                share(places[-1], block),
                f"positions {block * block_size} to {(block + 1) * block_size - 1}, share of layers that found it",
            )
            for block in blocks
        ),
        legend=LEGEND,
    )
    shares = [[share(place, block) for place in places] for block in blocks]
    rows = tuple(f"from {block * block_size}" for block in blocks)
    columns = tuple(str(place) for place in places)
    title = "hits over time: share of layers that found the block in memory"
    newest = len(rows) - 1, len(columns) - 1
    details = tuple(
        "not there yet" if p != p else f"found in {percent(p)} of the layers" for row in shares for p in row
    )
    view = Heatmap(title, Array.of(shares), "block", "token", rows, columns, cursor=newest, details=details)
    return last, view
