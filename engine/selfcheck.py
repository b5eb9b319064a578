"""What `llm-holes doctor` measures: that this engine computes what it claims, on the model at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from llm_holes.engine.checkpoint.plain import plain
from llm_holes.engine.checkpoint.store import verify
from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Table
from llm_holes.engine.generation.generate import Limits
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.hook_names import in_all_layers, tap
from llm_holes.engine.model.quantize import quantize
from llm_holes.engine.surgery.operations import HeadOff, QuantizedWeights

TEXT = "Once upon a time, in 1865, Alice wrote «naïve café» 🙂 to John.\n    return x + 1\n"
ROUNDING = 1e-4


@dataclass(frozen=True, slots=True)
class Check:
    """`figure` must be at most `limit`."""

    name: str
    figure: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.figure <= self.limit


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    """One frame per check; `measured` has each figure and `failed`, the number of checks that did not hold."""
    ids = engine.encode(TEXT)
    done: list[Check] = []
    for check in CHECKS:
        done.append(check(engine, ids))
        yield _frame(done)


def _frame(done: Sequence[Check]) -> Frame:
    failed = sum(not check.ok for check in done)
    rows = tuple((c.name, c.figure, c.limit, "ok" if c.ok else "FAILED") for c in done)
    last = len(done) == len(CHECKS)
    return Frame(
        f"{len(done) - failed} of {len(CHECKS)} checks hold" + (f", {failed} FAILED" if failed else ""),
        (Table("self-checks", ("check", "figure", "at most", ""), rows),),
        {**{c.name: c.figure for c in done}, "failed": failed},
        None if last else len(done) / len(CHECKS),
    )


def files_changed(engine: Engine, ids: Sequence[int]) -> Check:
    return Check("model files that differ from their checksum", len(verify(engine.files)), 0)


def transformers_logits(engine: Engine, ids: Sequence[int]) -> Check:
    reference = _reference(engine).eval()
    with torch.no_grad():
        expected = reference(torch.tensor([list(ids)])).logits[0]
    difference = (engine.logits(ids) - expected).abs().max()
    return Check("largest difference of a logit from transformers", float(difference), ROUNDING)


def _reference(engine: Engine) -> Any:
    """The model as transformers makes it of the same files. FP8 weights, which it rounds to bf16 on a CPU, are given to
    it as they are here."""
    from transformers import AutoConfig, AutoModelForCausalLM

    local = {"local_files_only": True, "trust_remote_code": False}
    how = {"dtype": torch.float32, "attn_implementation": "eager"}
    with plain(Path(engine.files.folder)) as folder:
        config = AutoConfig.from_pretrained(folder, **local)
        if not hasattr(config, "quantization_config"):
            return AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **local, **how)
        del config.quantization_config
        reference = AutoModelForCausalLM.from_config(config, trust_remote_code=False, **how)
        reference.load_state_dict(dict(engine.model.weights), strict=not engine.model.config.tied_embeddings)
        return reference


def transformers_tokens(engine: Engine, ids: Sequence[int]) -> Check:
    from transformers import AutoTokenizer

    with plain(Path(engine.files.folder)) as folder:
        reference = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    expected = reference.encode(TEXT, add_special_tokens=False)
    differing = sum(a != b for a, b in zip(ids, expected, strict=False)) + abs(len(ids) - len(expected))
    return Check("token ids that differ from transformers", differing, 0)


def round_trip(engine: Engine, ids: Sequence[int]) -> Check:
    return Check("texts that change on the way to ids and back", int(engine.tokenizer.decode(ids) != TEXT), 0)


def cached_logits(engine: Engine, ids: Sequence[int]) -> Check:
    cache = ContiguousCache(engine.model.config)
    parts = [engine.model.forward(torch.tensor([[i]]), cache).logits[0] for i in ids]
    whole = engine.logits(ids)
    difference = (torch.cat(parts) - whole).abs().max() / whole.abs().max()
    return Check("logits with the cache, token by token, relative", float(difference), ROUNDING)


def cached_tokens(engine: Engine, ids: Sequence[int]) -> Check:
    with_cache, without = (
        [step.token for step in engine.generate(ids, SamplingParams(), Limits(8, use_cache=use))]
        for use in (True, False)
    )
    return Check(
        "generated tokens that change with the cache", sum(a != b for a, b in zip(with_cache, without, strict=True)), 0
    )


def head_off(engine: Engine, ids: Sequence[int]) -> Check:
    layer, head, size = engine.model.config.n_layers // 2, 0, engine.model.config.d_head
    name = f"model.layers.{layer}.self_attn.o_proj.weight"
    columns = engine.model.weights[name].clone()
    columns[:, head * size : (head + 1) * size] = 0
    zeroed = Decoder(
        engine.model.config, {**engine.model.weights, name: columns}, is_cancelled=engine.model.is_cancelled
    )
    expected = zeroed.forward(torch.tensor([list(ids)])).logits[0]
    difference = (engine.operated([HeadOff(layer, head)]).logits(ids) - expected).abs().max()
    return Check("head off against zeroed columns of the output matrix", float(difference), ROUNDING)


def undo(engine: Engine, ids: Sequence[int]) -> Check:
    weights, logits = fingerprint(engine.model.weights), engine.logits(ids)
    engine.operated([QuantizedWeights(2, part="attention"), HeadOff(0, 0)]).logits(ids)
    changed = int(fingerprint(engine.model.weights) != weights) + int(not torch.equal(engine.logits(ids), logits))
    return Check("weights or logits that surgery left changed", changed, 0)


def future(engine: Engine, ids: Sequence[int]) -> Check:
    other = [*ids[:-1], (ids[-1] + 1) % engine.model.config.d_vocab]
    difference = (engine.logits(ids)[:-1] - engine.logits(other)[:-1]).abs().max()
    return Check("influence of the last token on earlier ones", float(difference), 0)


def pattern_rows(engine: Engine, ids: Sequence[int]) -> Check:
    taps = in_all_layers("attn.hook_pattern", engine.model.config.n_layers)
    acts = engine.model.forward(torch.tensor([list(ids)]), taps=taps).acts
    return Check(
        "largest error of a sum of attention weights",
        max(float(abs(p.sum(-1) - 1).max()) for p in acts.values()),
        ROUNDING,
    )


def stream(engine: Engine, ids: Sequence[int]) -> Check:
    layers = engine.model.config.n_layers
    updates = in_all_layers("hook_attn_out", layers) | in_all_layers("hook_mlp_out", layers)
    last = tap(layers - 1, "hook_resid_post")
    acts = engine.model.forward(torch.tensor([list(ids)]), taps={"hook_embed", last, *updates}).acts
    error = abs(acts["hook_embed"] + sum(acts[name] for name in updates) - acts[last]).max() / abs(acts[last]).max()
    return Check("final stream against the sum of all updates, relative", float(error), ROUNDING)


def rounding_error(engine: Engine, ids: Sequence[int]) -> Check:
    rows = engine.model.weights["model.embed_tokens.weight"][:1024]
    q = quantize(rows, 4, "channel", symmetric=False)
    error = (q.dequantized() - rows).abs()
    return Check("4-bit rounding error, in steps", float((error / q.scale).max()), 0.501)


CHECKS: tuple[Callable[[Engine, Sequence[int]], Check], ...] = (
    files_changed,
    round_trip,
    transformers_tokens,
    transformers_logits,
    cached_logits,
    cached_tokens,
    future,
    pattern_rows,
    stream,
    head_off,
    rounding_error,
    undo,
)
