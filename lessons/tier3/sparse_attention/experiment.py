"""Lets each token see only what a pattern leaves: what that does to a hidden fact, to reading, and to the work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Curve, Frame, Text, series
from llm_holes.engine.measure import changed_share, kl_nats, perplexity
from llm_holes.engine.numbers import percent, plural
from llm_holes.engine.surgery.sparse_attention import SparseMask, causal_pairs, pairs_seen
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier3.sparse_attention.ladder import (
    PLACES,
    Tried,
    Way,
    ask,
    by_depth,
    found_or_lost,
    looks_needed,
    ways,
)
from llm_holes.lessons.tier3.sparse_attention.needle import guessable, hide, says
from llm_holes.lessons.tier3.sparse_attention.work import blocks, cells, work

SMOOTH = 8


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    config = engine.model.config
    pattern = SparseMask(p["pattern"], p["window"], p["sinks"])
    layers = chosen(p["layers"], p["layer"], config.n_layers)
    now = Way("as set", pattern, layers)
    sparse = now.on(engine)
    ids = passage_ids(engine, p["tokens"])
    depths = sorted({*PLACES, p["depth"]})
    needles = [hide(engine, p["text"], depth, p["haystack"]) for depth in depths]
    here = depths.index(p["depth"])
    density = pairs_seen(pattern, len(ids)) / causal_pairs(len(ids))
    report = Report()
    report.measure(tokens=len(ids), density=density, layers_changed=len(layers))
    map_of_pairs = cells(pattern, len(ids))
    report.show(who_sees_whom=map_of_pairs)
    report.say(f"{percent(density)} of the pairs are left, in {len(layers)} of {plural(config.n_layers, 'layer')}.")
    yield report.frame(0.05)

    tried: list[Tried] = []
    all_ways = ways(now, config.n_layers)
    row = next(n for n, way in enumerate(all_ways) if n and (way.pattern, way.layers) == (pattern, layers))
    for one in ask(engine, needles, all_ways):
        tried.append(one)
        report.show(the_hidden_fact=by_depth(engine, needles[here], depths, tried), who_sees_whom=map_of_pairs)
        yield report.frame(0.05 + 0.5 * len(tried) / len(all_ways))
    report.show_also(found_or_lost=found_or_lost(engine, needles[here], depths, tried, (row, here)))
    full, cut = tried[0], tried[row]
    at_hand = looks_needed(needles[here], now, config.n_layers)
    written = says(sparse, needles[here])
    report.measure(
        needle_p_by_depth=[found.p for found in cut.found],
        needle_p_by_depth_full=[found.p for found in full.found],
        needle_places=cut.places,
        needle_places_full=full.places,
        needle_places_tried=len(depths),
        needle_p_full=full.found[here].p,
        needle_found_full=full.found[here].found,
        needle_p=cut.found[here].p,
        needle_found=cut.found[here].found,
        needle_distance=needles[here].distance,
        guessable=guessable(engine, p["text"]),
        looks_needed=at_hand,
        outcome=_outcome(cut.found[here].found, full.found[here].found, at_hand),
        written_sparse=written,
    )
    report.show_also(what_it_writes=Text("what follows on the question", written))
    yield report.frame(0.7)

    before, after = engine.logits(ids), sparse.logits(ids)
    targets = torch.tensor(ids)
    hesitates = perplexity(before, targets), perplexity(after, targets)
    report.measure(
        perplexity_full=hesitates[0],
        perplexity_sparse=hesitates[1],
        perplexity_ratio=hesitates[1] / hesitates[0],
        kl_nats=kl_nats(before, after),
        changed_words_share=changed_share(before, after),
    )
    report.show_also(surprise=_surprise(before, after, targets))
    yield report.frame(0.9)

    tokens = min(p["cost_tokens"], config.n_ctx)
    table, costs = work(engine, pattern, tokens)
    report.measure(costs)
    report.show_also(blocks=blocks(pattern, tokens), work=table)
    yield report.frame()


def _outcome(found: bool, found_full: bool, looks: int) -> str:
    if found:
        return "found"
    if not found_full:
        return "lost either way"
    return "lost in reach" if looks else "out of reach"


def _surprise(full: Tensor, cut: Tensor, targets: Tensor) -> Curve:
    """The surprise at each next token, in nats, averaged over a few tokens."""

    def smooth(logits: Tensor) -> list[float]:
        losses = F.cross_entropy(logits[:-1], targets[1:], reduction="none")
        return [float(losses[max(0, i - SMOOTH + 1) : i + 1].mean()) for i in range(len(losses))]

    x = range(1, len(targets))
    lines = (series("this pattern", x, smooth(cut)), series("full attention", x, smooth(full)))
    title = f"surprise while reading (mean of {plural(SMOOTH, 'token')})"
    return Curve(title, lines, x_label="token", y_label="surprise in nats", y_range=(0, 8))
