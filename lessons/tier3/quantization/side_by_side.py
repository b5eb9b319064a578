"""Several ways of rounding beside each other, one more with each picture: what the learner chose to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import View
from llm_holes.engine.numbers import NOTHING, plural
from llm_holes.lessons.shared.report import keyed
from llm_holes.lessons.tier3.quantization import pictures, stream
from llm_holes.lessons.tier3.quantization.comparisons import CACHES, Moved, by_cache, by_format
from llm_holes.lessons.tier3.quantization.trials import Trial, pareto, trials

LADDER_TOKENS = 16
CACHE_BITS = 4
"""Where the cache is not rounded otherwise."""
NOT_COMPARED: Mapping[str, Any] = {
    "pareto_front": [],
    "kl_by_format": {},
    "kl_by_stream": {},
    "kl_by_cache": {},
    **dict.fromkeys(("changed_share_one_scale", "changed_share_per_token"), NOTHING),
    **{f"changed_share_{way.name}": NOTHING for way in CACHES.values()},
}
"""What is published where nothing is compared."""

Found = tuple[View, dict[str, Any]]
Compare = Callable[[Engine, Mapping[str, Any], Sequence[int], Tensor, Mapping[str, Any]], Iterator[Found]]


def side_by_side(
    engine: Engine, p: Mapping[str, Any], ids: Sequence[int], intact: Tensor, m: Mapping[str, Any]
) -> Iterator[Found]:
    """A picture with one more way in it each time, and what was measured so far. `intact` are the logits
    [pos, d_vocab], `m` is what is known already. Raises Cancelled."""
    if p["compare"] in COMPARED:
        key, compare = COMPARED[p["compare"]]
        for view, found in compare(engine, p, ids, intact, m):
            yield keyed({key: view})[0], found


def _formats(
    engine: Engine, p: Mapping[str, Any], ids: Sequence[int], intact: Tensor, m: Mapping[str, Any]
) -> Iterator[Found]:
    found: dict[str, Moved] = {}
    for name, moved in by_format(engine, ids, intact, "all" if p["part"] == "none" else p["part"]):
        found[name] = moved
        view = pictures.formats(found, m["file_came_in_4_bits"], ("as you set it", m["changed_share"]))
        yield view, {"kl_by_format": _nats(found)}


def _stream(
    engine: Engine, p: Mapping[str, Any], ids: Sequence[int], intact: Tensor, m: Mapping[str, Any]
) -> Iterator[Found]:
    found: dict[str, Moved] = {}
    named = {stream.ONE_SCALE: "changed_share_one_scale", stream.PER_TOKEN: "changed_share_per_token"}
    for name, moved in stream.by_stream(engine, ids, intact):
        found[name] = moved
        shares = {named[name]: moved.changed_share} if name in named else {}
        yield pictures.moved(found, "the stream after each layer"), {"kl_by_stream": _nats(found), **shares}


def _cache(
    engine: Engine, p: Mapping[str, Any], ids: Sequence[int], intact: Tensor, m: Mapping[str, Any]
) -> Iterator[Found]:
    found: dict[str, Moved] = {}
    bits = CACHE_BITS if p["kv_bits"] == "off" else int(p["kv_bits"])
    for name, moved in by_cache(engine, ids, intact, bits):
        found[name] = moved
        share = {f"changed_share_{CACHES[name].name}": moved.changed_share}
        view = pictures.moved(found, f"the cache in {plural(bits, 'bit')}")
        yield view, {"kl_by_cache": _nats(found), **share}


def _ladder(
    engine: Engine, p: Mapping[str, Any], ids: Sequence[int], intact: Tensor, m: Mapping[str, Any]
) -> Iterator[Found]:
    tried: list[Trial] = []
    for trial in trials(engine.model, ids[:LADDER_TOKENS], p["part"], int(p["group_size"])):
        tried.append(trial)
        view = pictures.ladder(tried, LADDER_TOKENS, m["file_came_in_4_bits"])
        yield view, {"pareto_front": [one.name for one in pareto(tried)]}


COMPARED: Mapping[str, tuple[str, Compare]] = {
    "formats": ("formats", _formats),
    "stream": ("stream rounded", _stream),
    "cache": ("keys and values", _cache),
    "ladder": ("the whole ladder", _ladder),
}
"""The choices, with the key of their picture."""


def _nats(found: Mapping[str, Moved]) -> dict[str, float]:
    return {name: moved.kl_nats for name, moved in found.items()}
