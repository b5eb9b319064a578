"""What a miss costs a model of 70 billion parameters: its weights and the cache that fits come from the accelerator's
own memory, the rest over a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from llm_holes.engine.frames import Stretch, Timeline, TimelineRow
from llm_holes.engine.numbers import figure, plural
from llm_holes.lessons.shared.architectures import ARCHITECTURES
from llm_holes.lessons.tier3.kv_cache_offloading.links import OWN_FILE, Link

SHAPE = next(shape for shape in ARCHITECTURES if shape.name == "Llama-3-70B")
WEIGHT_BYTES = 2 * 70.6e9
"""16 bits each."""
HBM = Link("its own memory", 8000.0)
"""A B200's, by its data sheet."""
BEHIND: Mapping[str, str] = {
    HBM.name: "192 GB",
    "NVLink, 450 GB/s": "480 GB",
    "PCIe 5, 64 GB/s": "2 TB",
    "NVMe, 7 GB/s": "30 TB",
}
"""How much there usually is."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token behind `context` others, of whose keys and values `missing` (0..1) come over the link."""

    context: int
    missing: float

    @property
    def cache_bytes(self) -> int:
        return SHAPE.kv_bytes(self.context)

    @property
    def missed_bytes(self) -> float:
        return self.missing * self.cache_bytes

    def ms(self, link: Link) -> float:
        return HBM.ms(WEIGHT_BYTES + self.cache_bytes - self.missed_bytes) + link.ms(self.missed_bytes)

    def slowdown(self, link: Link) -> float:
        return self.ms(link) / HBM.ms(WEIGHT_BYTES + self.cache_bytes)


def tiers(step: Step, links: Mapping[str, Link], chosen: str) -> Timeline:
    """One token with all of the cache in the accelerator's memory, and with what is missing behind each link."""
    names = [name for name in links if name in BEHIND or name in {OWN_FILE, chosen}]
    rows = [_row(Step(step.context, 0.0), HBM), *(_row(step, links[name]) for name in names)]
    title = f"a 70B model, one token behind {plural(step.context, 'token')}: where the missing part lies"
    return Timeline(title, tuple(rows))


def _row(step: Step, link: Link) -> TimelineRow:
    near = step.cache_bytes - step.missed_bytes
    stretches = (
        Stretch("weights", HBM.ms(WEIGHT_BYTES), "reads weights"),
        Stretch("cache", HBM.ms(near), "reads the cache nearby"),
        Stretch("wait", link.ms(step.missed_bytes), "waits for the link"),
    )
    speed = f"{figure(round(link.gb_per_s, 3))} GB/s"
    return TimelineRow(link.name, tuple(s for s in stretches if s.ms), BEHIND.get(link.name, speed))
