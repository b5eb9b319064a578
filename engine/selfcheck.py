"""What `llm-holes doctor` measures: that this engine computes what it claims, on the model at hand."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch

from llm_holes.engine.checkpoint.installed import verify
from llm_holes.engine.checkpoint.plain import plain
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError, ModelError
from llm_holes.engine.frames import Frame, Table
from llm_holes.engine.generation.generate import Limits
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.model.hook_names import in_all_layers, tap
from llm_holes.engine.model.quantize import quantize
from llm_holes.engine.surgery.operations import HeadOff, QuantizedWeights, reweighted

TEXT = "Once upon a time, in 1865, Alice wrote «naïve café» 🙂 to John.\n    return x + 1\n"
ROUNDING, ROUNDING_BF16 = 1e-4, 0.05
LOGITS_BF16 = 1.0
"""Between matrices in bf16 and transformers in fp32; a logit of the default model is about 20."""
LARGE_LOGIT = 50.0
"""Beyond this fp32 rounds the logits of any program by more, so that a difference counts in proportion to them."""
log = logging.getLogger(__name__)


Measure = Callable[[Engine, Sequence[int]], float]


@dataclass(frozen=True, slots=True)
class Check:
    """`figure` must be at most `limit`; `error` says why there is none."""

    name: str
    figure: float
    limit: float
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.figure <= self.limit


def check(
    name: str, in_fp32: float, in_bf16: float | None = None
) -> Callable[[Measure], Callable[[Engine, Sequence[int]], Check]]:
    """Makes a check of what gives its figure, which is at most `in_fp32`, or where matrices are in bf16 `in_bf16`; one
    that raises has failed, and the others still run."""

    def of(measure: Measure) -> Callable[[Engine, Sequence[int]], Check]:
        @wraps(measure)
        def checked(engine: Engine, ids: Sequence[int]) -> Check:
            limit = in_fp32 if in_bf16 is None or engine.info.dtype == "fp32" else in_bf16
            try:
                return Check(name, measure(engine, ids), limit)
            except Cancelled:
                raise
            except Exception as error:
                log.exception("the check of %s failed", name)
                return Check(name, math.nan, limit, _told(error))

        return checked

    return of


def _told(error: Exception) -> str:
    """One line about the error; those raised on purpose are sentences already."""
    text = " ".join(str(error).split())[:200]
    return text if isinstance(error, (InputError, ModelError)) else f"{type(error).__name__}: {text}"


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    """One frame per check; `measured` has each figure and `failed`, the number of checks that did not hold."""
    ids = _ids(engine)
    done: list[Check] = []
    for made in CHECKS:
        done.append(made(engine, ids))
        yield _frame(done)


def _ids(engine: Engine) -> list[int]:
    """As much of the text as the context holds; none if the tokenizer fails, which is for its own check to say."""
    try:
        return engine.tokenizer.encode_whole(TEXT)[: engine.model.config.n_ctx]
    except Exception:
        log.exception("the text of the checks has no ids")
        return []


def _frame(done: Sequence[Check]) -> Frame:
    failed = sum(not check.ok for check in done)
    rows = tuple((c.name, "–" if c.error else c.figure, c.limit, _outcome(c)) for c in done)
    last = len(done) == len(CHECKS)
    return Frame(
        f"{len(done) - failed} of {len(CHECKS)} checks hold" + (f", {failed} FAILED" if failed else ""),
        (Table("self-checks", ("check", "figure", "at most", ""), rows),),
        {**{c.name: c.figure for c in done if not c.error}, "failed": failed},
        None if last else len(done) / len(CHECKS),
    )


def _outcome(made: Check) -> str:
    return "ok" if made.ok else f"FAILED: {made.error}" if made.error else "FAILED"


@check("model files that differ from their checksum", 0)
def files_changed(engine: Engine, ids: Sequence[int]) -> float:
    return len(verify(engine.files))


@check("largest difference of a logit from transformers", ROUNDING, LOGITS_BF16)
def transformers_logits(engine: Engine, ids: Sequence[int]) -> float:
    reference = _reference(engine).eval().to(engine.info.device)
    with torch.no_grad():
        expected = reference(torch.tensor([list(ids)])).logits[0]
    difference = (engine.logits(ids) - expected).abs().max()
    return float(difference / (expected.abs().max() / LARGE_LOGIT).clamp(min=1))


def _reference(engine: Engine) -> Any:
    """The model as transformers makes it of the same files. FP8 weights, which it rounds to bf16 on a CPU, are given to
    it as they are here."""
    from transformers import AutoConfig, AutoModelForCausalLM

    local = {"local_files_only": True, "trust_remote_code": False}
    how = {"dtype": torch.float32, "attn_implementation": "eager"}
    with plain(Path(engine.files.folder)) as folder:
        config: Any = AutoConfig.from_pretrained(folder, **local)
        if not hasattr(config, "quantization_config"):
            return AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **local, **how)
        del config.quantization_config
        reference = AutoModelForCausalLM.from_config(config, trust_remote_code=False, **how)
        reference.load_state_dict(dict(engine.model.weights), strict=not engine.model.config.tied_embeddings)
        return reference


@check("token ids that differ from transformers", 0)
def transformers_tokens(engine: Engine, ids: Sequence[int]) -> float:
    reference = _reference_tokenizer(engine)
    expected = reference.encode(TEXT)[: engine.model.config.n_ctx]
    differing: int = sum(a != b for a, b in zip(ids, expected, strict=False)) + abs(len(ids) - len(expected))
    return float(differing)


def _reference_tokenizer(engine: Engine) -> Any:
    from transformers import AutoTokenizer

    with plain(Path(engine.files.folder)) as folder:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


@check("texts that change on the way to ids and back", 0)
def round_trip(engine: Engine, ids: Sequence[int]) -> float:
    """What a tokenizer does not keep, spaces in a row or what it has no piece for, transformers must lose too."""
    ids = engine.tokenizer.encode(TEXT)
    text = engine.tokenizer.decode(ids)
    if text.removeprefix(engine.tokenizer.in_front(TEXT)) == TEXT:
        return 0
    return int(text.strip() != _reference_tokenizer(engine).decode(ids).strip())


@check("logits with the cache, token by token, relative", ROUNDING, ROUNDING_BF16)
def cached_logits(engine: Engine, ids: Sequence[int]) -> float:
    cache = ContiguousCache(engine.model.config)
    parts = [engine.model.forward(torch.tensor([[i]]), cache).logits[0] for i in ids]
    whole = engine.logits(ids)
    difference = (torch.cat(parts) - whole).abs().max() / whole.abs().max()
    return float(difference)


@check("generated tokens that change with the cache", 0)
def cached_tokens(engine: Engine, ids: Sequence[int]) -> float:
    with_cache, without = (
        [step.token for step in engine.generate(ids, SamplingParams(), Limits(8, use_cache=use))]
        for use in (True, False)
    )
    return float(sum(a != b for a, b in zip_longest(with_cache, without)))


@check("head off against zeroed columns of the output matrix", ROUNDING, LOGITS_BF16)
def head_off(engine: Engine, ids: Sequence[int]) -> float:
    layer, head, size = engine.model.config.n_layers // 2, 0, engine.model.config.d_head
    name = f"model.layers.{layer}.self_attn.o_proj.weight"
    columns = engine.model.weights[name].clone()
    columns[:, head * size : (head + 1) * size] = 0
    expected = reweighted(engine.model, {name: columns}).forward(torch.tensor([list(ids)])).logits[0]
    difference = (engine.operated([HeadOff(layer, head)]).logits(ids) - expected).abs().max()
    return float(difference)


@check("weights or logits that surgery left changed", 0)
def undo(engine: Engine, ids: Sequence[int]) -> float:
    weights, logits = fingerprint(engine.model.weights), engine.logits(ids)
    engine.operated([QuantizedWeights(2, part="attention"), HeadOff(0, 0)]).logits(ids)
    return int(fingerprint(engine.model.weights) != weights) + int(not torch.equal(engine.logits(ids), logits))


@check("influence of the last token on earlier ones", 0)
def future(engine: Engine, ids: Sequence[int]) -> float:
    other = [*ids[:-1], (ids[-1] + 1) % engine.model.config.d_vocab]
    difference = (engine.logits(ids)[:-1] - engine.logits(other)[:-1]).abs().max()
    return float(difference)


@check("largest error of a sum of attention weights", ROUNDING)
def pattern_rows(engine: Engine, ids: Sequence[int]) -> float:
    taps = in_all_layers("attn.hook_pattern", engine.model.config.n_layers)
    acts = engine.model.forward(torch.tensor([list(ids)]), taps=taps).acts
    return max(float(abs(p.sum(-1) - 1).max()) for p in acts.values())


@check("final stream against the sum of all updates, relative", ROUNDING)
def stream(engine: Engine, ids: Sequence[int]) -> float:
    layers = engine.model.config.n_layers
    updates = in_all_layers("hook_attn_out", layers) | in_all_layers("hook_mlp_out", layers)
    last = tap(layers - 1, "hook_resid_post")
    acts = engine.model.forward(torch.tensor([list(ids)]), taps={"hook_embed", last, *updates}).acts
    error = abs(acts["hook_embed"] + sum(acts[name] for name in updates) - acts[last]).max() / abs(acts[last]).max()
    return float(error)


@check("4-bit rounding error, in steps", 0.501)
def rounding_error(engine: Engine, ids: Sequence[int]) -> float:
    rows = engine.model.weights["model.embed_tokens.weight"][:1024]
    q = quantize(rows, 4, "channel", symmetric=False)
    error = (q.dequantized() - rows).abs()
    return float((error / q.scale).max())


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
