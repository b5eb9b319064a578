"""Pictures to one scale of time: tokens that wait for what is missing, and a conversation that is fetched or computed
again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llm_holes.engine.frames import Bars, Stretch, Timeline, TimelineRow
from llm_holes.engine.numbers import plural
from llm_holes.lessons.tier3.kv_cache_offloading.file_speed import Speeds, best_gb_per_s
from llm_holes.lessons.tier3.kv_cache_offloading.links import OWN_FILE, Link

SHOWN = 6
"""Tokens in a row, at most."""
COMMON_GB_PER_S = (0.1, 100.0)
"""Links outside are drawn only where they were chosen: the slow ones squeeze all others to nothing."""
LEAST = 0.01
"""A wait of less than this share of a token is too short to draw."""
MIB = 2**20


def waiting_tokens(
    names: Sequence[str], token_ms: float, missed_bytes: Sequence[float], links: Mapping[str, Link], chosen: str
) -> Timeline:
    """The first tokens with everything in memory, and with what each of them missed coming over each link."""
    names, missed = names[:SHOWN], missed_bytes[:SHOWN]
    rows = [TimelineRow("all in memory", tuple(Stretch(name, token_ms, "computes a token") for name in names))]
    for link in _shown(links, chosen):
        stretches: list[Stretch] = []
        for name, nbytes in zip(names, missed, strict=True):
            stretches += (
                [Stretch("wait", link.ms(nbytes), "waits for missing blocks")]
                if link.ms(nbytes) > LEAST * token_ms
                else []
            )
            stretches.append(Stretch(name, token_ms, "computes a token"))
        rows.append(TimelineRow(link.name, tuple(stretches)))
    return Timeline(f"{plural(len(names), 'token')}, and what is missing comes over a link", tuple(rows))


def _shown(links: Mapping[str, Link], chosen: str) -> list[Link]:
    slowest, fastest = COMMON_GB_PER_S
    return [
        link
        for link in links.values()
        if link.name == chosen or (slowest < link.gb_per_s < fastest and link.name != OWN_FILE)
    ]


def fetch_or_compute(tokens: int, nbytes: int, recompute_ms: float, links: Mapping[str, Link], chosen: str) -> Timeline:
    """The cache of a saved conversation: computed again from its text, or fetched over each link."""
    rows = [TimelineRow("compute again", (Stretch("compute", recompute_ms, "computes"),))]
    rows += [TimelineRow(link.name, (Stretch("fetch", link.ms(nbytes), "fetches"),)) for link in _shown(links, chosen)]
    return Timeline(f"a saved conversation of {plural(tokens, 'token')}: bring its cache back", tuple(rows))


def block_sizes(speeds: Speeds, nbytes: float, size: int, writing_ms: float) -> Bars:
    """One token's missing bytes in blocks of all sizes, timed; foretold from the best speed; and, if there were any,
    what the fetches took while the model wrote."""
    share = nbytes / MIB
    bars = {f"blocks of {n}": share * t.fastest for n, t in speeds.items()}
    bars["bytes ÷ best speed"] = Link("", best_gb_per_s(speeds)).ms(nbytes)
    if writing_ms:
        bars[f"of {size}, while writing"] = writing_ms
    title = "the same bytes from this machine's file, in smaller and larger blocks"
    return Bars(title, tuple(bars), tuple(bars.values()), "ms", marked=len(speeds))
