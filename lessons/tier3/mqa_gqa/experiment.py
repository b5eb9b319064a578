"""Changes how query heads share keys and values, in a model trained for one way of it, and counts the cache."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, Frame, Table, View
from llm_holes.engine.measure import changed_share, kl_nats, perplexity
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import NOTHING, equality, figure, plural, size
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.kv_heads import KVExpanded
from llm_holes.lessons.shared.architectures import ARCHITECTURES
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import NAME, passage, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.tier3.mqa_gqa import published
from llm_holes.lessons.tier3.mqa_gqa.alike import likeness, map_of
from llm_holes.lessons.tier3.mqa_gqa.merged import EXCHANGE, SHORT_LIST, Merging, damage, each_layer_alone, kept_bytes
from llm_holes.lessons.tier3.mqa_gqa.sharing import who_shares

FITTED_ON = 256
"""Tokens of the passage behind those that are measured: short lists are fitted to what they are not tried on."""
ALONE_TOKENS = 64
"""For each layer alone, and for the patterns."""
NAMES = {EXCHANGE: "Keys and values dealt out to the wrong heads", SHORT_LIST: "One short list for all heads"}


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    config = engine.model.config
    prompt = engine.encode(p["text"], p["max_new_tokens"])
    ids = passage_ids(engine, p["tokens"])
    report, untouched = Report(), Untouched.of(engine, prompt)
    model = next(a for a in ARCHITECTURES if a.name == p["architecture"])
    few = passage_ids(engine, ALONE_TOKENS)
    found = likeness(engine, few, p["layer"])
    report.measure(
        kv_heads=config.n_kv_heads,
        query_heads=config.n_heads,
        architecture=model.name,
        architecture_cache_bytes=model.kv_bytes(p["context_tokens"], published.HALF),
        architecture_cache_bytes_ungrouped=model.kv_bytes(p["context_tokens"], published.HALF, grouped=False),
        mla_cache_bytes=published.DeepSeek.kv_bytes(p["context_tokens"]),
        mla_cache_bytes_if_own=published.DeepSeek.kv_bytes_if_own(p["context_tokens"]),
        pattern_cosine_inside=_known(found.inside),
        pattern_cosine_across=_known(found.across),
        pattern_cosine_gap=found.gap,
        pattern_cosine_inside_all=_known(found.inside_all),
        pattern_cosine_across_all=_known(found.across_all),
    )
    shown: dict[str, View] = {
        "who_shares": who_shares(config),
        "who_looks_alike": map_of(found, p["layer"], config.kv_group),
        "published_models": published.table(engine, p["context_tokens"]),
        "cache_size": published.ways(model, p["context_tokens"]),
    }
    report.show(**shown)
    report.say(f"{plural(config.n_heads, 'query head')} read {plural(config.n_kv_heads, 'head')} of keys and values.")
    yield report.frame(0.2)

    intact, built_bytes = _read(engine, ids)
    report.measure(_copied(engine, ids, intact), cache_bytes=built_bytes, perplexity_intact=_perplexity(intact, ids))
    merging = Merging(engine, p["pooling"], ids, _behind(engine, p["tokens"]))
    layers = chosen(p["layers"], p["layer"], config.n_layers)
    merged = engine.operated([merging.of(layers)])
    changed = merged.logits(ids)
    report.measure(
        layers_changed=len(layers),
        kv_heads_pooled=merged.model.config.n_kv_heads,
        cache_bytes_pooled=kept_bytes(config, p["pooling"], len(layers), len(ids)),
        kl_pool=kl_nats(intact, changed),
        changed_share=changed_share(intact, changed),
        perplexity_pool=_perplexity(changed, ids),
    )
    report.say(_caption(report.measured, p["pooling"], config.n_layers))
    shown = {"who_shares": shown["who_shares"], "quality": _quality(report.measured, p["pooling"], len(ids))} | shown
    report.show(**shown)
    yield report.frame(0.5)

    before, after = (e.write(prompt, p["max_new_tokens"]) for e in (engine, merged))
    report.measure(text_differs=before != after, undo_bit_identical=untouched.holds())
    report.measure(kl_pool_per_layer=[], worst_layer=-1, changed_share_worst=NOTHING, changed_share_least=NOTHING)
    writes = Diff(f"what follows {spelt(p['text'])}", before, after, "as built", p["pooling"])
    report.show(**{"who_shares": shown["who_shares"], "what_it_writes": writes} | shown)
    if p["every_layer"]:
        still = report.views
        kls, shares = list[float](), list[float]()
        for kl, share in each_layer_alone(engine, merging, few):
            kls.append(kl)
            shares.append(share)
            report.show(*still, each_layer_alone=damage(shares, config.n_layers, len(few)))
            yield report.frame(0.5 + 0.5 * len(kls) / config.n_layers)
        report.measure(kl_pool_per_layer=kls, worst_layer=shares.index(max(shares)))
        report.measure(changed_share_worst=max(shares), changed_share_least=min(shares))
    yield report.frame()


def _known(value: float) -> float | str:
    """The value, unless there was nothing to measure it on."""
    return NOTHING if math.isnan(value) else value


def _read(engine: Engine, ids: Sequence[int]) -> tuple[torch.Tensor, int]:
    """Logits [pos, vocabulary] of the text, and the bytes its keys and values take in the cache."""
    cache = ContiguousCache(engine.model.config, len(ids))
    logits = engine.model.forward(torch.tensor([list(ids)]), cache).logits[0]
    return logits, cache.nbytes


def _behind(engine: Engine, tokens: int) -> list[int]:
    """The piece of the passage behind its first tokens, as far as it is one text and fits the context."""
    return engine.tokenizer.encode(passage())[tokens:][: min(FITTED_ON, engine.model.config.n_ctx)]


def _copied(engine: Engine, ids: Sequence[int], intact: torch.Tensor) -> dict[str, Any]:
    """What a copy of keys and values for each query head changes."""
    expanded, nbytes = _read(engine.operated([KVExpanded()]), ids)
    return {
        "cache_bytes_expanded": nbytes,
        "kl_expand": kl_nats(intact, expanded),
        "logits_max_abs_diff_expand": float((intact - expanded).abs().max()),
    }


def _perplexity(logits: torch.Tensor, ids: Sequence[int]) -> float:
    return perplexity(logits, torch.tensor(ids))


def _caption(m: Mapping[str, Any], way: str, n_layers: int) -> str:
    name = NAMES.get(way, f"One head of keys and values for all ({way})")
    return (
        f"{name}, in {m['layers_changed']} of {plural(n_layers, 'layer')}: "
        f"perplexity {figure(m['perplexity_intact'])} becomes {figure(m['perplexity_pool'])}."
    )


def _quality(m: Mapping[str, Any], way: str, tokens: int) -> Table:
    copied = f"a copy for each query head ({equality(m['logits_max_abs_diff_expand'])})"
    last = f"{way}, {plural(m['layers_changed'], 'layer')}"
    rows = (
        ("as built", size(m["cache_bytes"]), m["perplexity_intact"], 0.0),
        (copied, size(m["cache_bytes_expanded"]), m["perplexity_intact"], m["kl_expand"]),
        (
            last,
            size(m["cache_bytes_pooled"]),
            m["perplexity_pool"],
            m["kl_pool"],
        ),
    )
    return Table(f"{plural(tokens, 'token')} of {NAME}", ("", "cache", "perplexity", "KL, nats"), rows)
