"""How fast bytes come from a slower memory, and how long a token waits for them: bytes divided by speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OWN_FILE = "own file, measured"

LINKS: Mapping[str, float] = {
    "NVLink, 450 GB/s": 450.0,
    "PCIe 5, 64 GB/s": 64.0,
    "NVMe, 7 GB/s": 7.0,
    "SATA, 0.5 GB/s": 0.5,
    "disk, 0.15 GB/s": 0.15,
    "slow line, 1 MB/s": 0.001,
}
"""Bytes per nanosecond, as data sheets give them, in one direction: from an accelerator's fast link to the computer's
memory down to a slow line into the house."""


@dataclass(frozen=True, slots=True)
class Link:
    name: str
    gb_per_s: float

    def ms(self, nbytes: float) -> float:
        """How long it takes to bring this many bytes, if they come in one go."""
        return nbytes / self.gb_per_s / 1e6


def links(file_gb_per_s: float) -> dict[str, Link]:
    """All links by name, this machine's own file, whose speed was measured, among them; the fastest first."""
    found = [Link(name, speed) for name, speed in (*LINKS.items(), (OWN_FILE, file_gb_per_s))]
    return {link.name: link for link in sorted(found, key=lambda link: -link.gb_per_s)}
