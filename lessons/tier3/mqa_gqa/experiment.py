"""Changes how query heads share keys and values, in a model trained for one way of it, and counts the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Diff, Frame, Table
from llm_holes.engine.measure import kl_nats, perplexity
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.numbers import equality, figure, plural, size
from llm_holes.engine.spelling import spelt
from llm_holes.engine.surgery.kv_heads import KVExpanded, KVRotated, pooled_by
from llm_holes.engine.surgery.operations import Operation
from llm_holes.lessons.shared.architectures import ARCHITECTURES, Architecture, with_this_model
from llm_holes.lessons.shared.layer_choice import chosen
from llm_holes.lessons.shared.passage import NAME, passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched

GB = 1e9
HALF = 2
"""Bytes of a number in the calculator: most models keep their cache in 16 bits."""


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    config = engine.model.config
    prompt = engine.encode(p["text"], p["max_new_tokens"])
    ids = passage_ids(engine, p["tokens"])
    targets = torch.tensor(ids)
    report, untouched = Report(), Untouched.of(engine, prompt)
    model = next(a for a in ARCHITECTURES if a.name == p["architecture"])
    size_bars, published = _ways(model, p["context_tokens"]), _published(engine, p["context_tokens"])
    intact, built_bytes = _read(engine, ids)
    expanded, expanded_bytes = _read(engine.operated([KVExpanded()]), ids)
    difference, built_perplexity = float((intact - expanded).abs().max()), perplexity(intact, targets)
    report.measure(
        kv_heads=config.n_kv_heads,
        query_heads=config.n_heads,
        cache_bytes=built_bytes,
        cache_bytes_expanded=expanded_bytes,
        kl_expand=kl_nats(intact, expanded),
        logits_max_abs_diff_expand=difference,
        perplexity_intact=built_perplexity,
        architecture=model.name,
        architecture_cache_bytes=model.kv_bytes(p["context_tokens"], HALF),
        architecture_cache_bytes_ungrouped=model.kv_bytes(p["context_tokens"], HALF, grouped=False),
    )
    report.show(cache_size=size_bars, published_models=published)
    report.say(
        f"Copied for each of {config.n_heads} query heads, {size(built_bytes)} of cache become "
        f"{size(expanded_bytes)}; the logits are {equality(difference)}."
    )
    yield report.frame(0.3)

    layers = chosen(p["layers"], p["layer"], config.n_layers)
    pooled = engine.operated([_sharing(engine, p["pooling"], layers, ids)])
    changed, _ = _read(pooled, ids)
    kl, pooled_perplexity = kl_nats(intact, changed), perplexity(changed, targets)
    report.measure(
        layers_changed=len(layers),
        kv_heads_pooled=pooled.model.config.n_kv_heads,
        cache_bytes_pooled=_kept_bytes(built_bytes, p["pooling"], len(layers) / config.n_layers, config.n_kv_heads),
        kl_pool=kl,
        perplexity_pool=pooled_perplexity,
    )
    report.say(
        f"{_name(p['pooling'])}, in {len(layers)} of {plural(config.n_layers, 'layer')}: "
        f"perplexity {figure(built_perplexity)} becomes {figure(pooled_perplexity)}, KL {figure(kl)} nats."
    )
    quality = _quality(report.measured, p["pooling"], len(ids))
    report.show(cache_size=size_bars, quality=quality, published_models=published)
    yield report.frame(0.6)

    before, after = (e.write(prompt, p["max_new_tokens"]) for e in (engine, pooled))
    report.measure(text_differs=before != after, undo_bit_identical=untouched.holds())
    writes = Diff(f"what follows {spelt(p['text'])}", before, after, "as built", p["pooling"])
    report.show(cache_size=size_bars, quality=quality, what_it_writes=writes, published_models=published)
    yield report.frame()


def _sharing(engine: Engine, pooling: str, layers: tuple[int, ...], ids: Sequence[int]) -> Operation:
    if pooling == "exchange":
        return KVRotated(layers)
    return pooled_by(engine.model, pooling, layers, ids)  # type: ignore[arg-type]  # the control's other choices


def _read(engine: Engine, ids: Sequence[int]) -> tuple[torch.Tensor, int]:
    """Logits [pos, vocabulary] of the text, and the bytes its keys and values take in the cache."""
    cache = ContiguousCache(engine.model.config, len(ids))
    logits = engine.model.forward(torch.tensor([list(ids)]), cache).logits[0]
    return logits, cache.nbytes


def _kept_bytes(built: int, pooling: str, share_of_layers: float, kv_heads: int) -> int:
    """Bytes of cache if the layers that share one head keep it once. (Where others keep all, the model itself holds
    the shared one as often as those hold theirs, so that all layers have one shape.)"""
    return built if pooling == "exchange" else round(built * (1 - share_of_layers * (1 - 1 / kv_heads)))


def _name(pooling: str) -> str:
    if pooling == "exchange":
        return "Keys and values dealt out to the wrong heads"
    return f"One head of keys and values for all ({pooling})"


def _quality(measured: Mapping[str, Any], pooling: str, tokens: int) -> Table:
    perplexity = measured["perplexity_intact"]
    rows = (
        ("as built", measured["kv_heads"], measured["cache_bytes"], perplexity, 0.0),
        ("copied", measured["query_heads"], measured["cache_bytes_expanded"], perplexity, measured["kl_expand"]),
        (
            pooling,
            measured["kv_heads_pooled"],
            measured["cache_bytes_pooled"],
            measured["perplexity_pool"],
            measured["kl_pool"],
        ),
    )
    return Table(
        f"{plural(tokens, 'token')} of {NAME}", ("", "KV heads", "cache bytes", "perplexity", "KL, nats"), rows
    )


def _ways(model: Architecture, tokens: int) -> Bars:
    ways = ((model.n_heads, "one each"), (model.n_kv_heads, "as published"), (1, "one for all"))
    sizes = tuple(model.kv_bytes(tokens, HALF) * heads / model.n_kv_heads / GB for heads, _ in ways)
    labels = tuple(f"{plural(heads, 'KV head')}, {way}" for heads, way in ways)
    return Bars(f"{model.name}: the cache of {plural(tokens, 'token')}, 16 bits each", labels, sizes, "GB", marked=1)


def _published(engine: Engine, tokens: int) -> Table:
    rows = tuple(
        (
            a.name,
            a.n_heads,
            a.n_kv_heads,
            a.kv_bytes(tokens, HALF, grouped=False) / GB,
            a.kv_bytes(tokens, HALF) / GB,
            a.kv_bytes(tokens, HALF) / a.n_kv_heads / GB,
        )
        for a in with_this_model(engine)
    )
    columns = ("", "query heads", "KV heads", "GB if own", "GB", "GB if one")
    return Table(f"published models: the cache of {plural(tokens, 'token')}, 16 bits each", columns, rows)
