"""One token at a time: the loop around the model, as an iterator of steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from llm_holes.engine.device import clock
from llm_holes.engine.generation.sampling import SamplingParams, generator, sample
from llm_holes.engine.model.cache import ContiguousCache, KVCache
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.tokenizer.tokenizer import Detokenizer, Tokenizer

StopReason = Literal["end token", "max tokens", "stop string", "context full"]
PREFILL_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Step:
    """One generated token.

    `text` is what became readable with it (whole characters only, a possible stop string held back). `p`, `p_end` and
    `end_rank` (0 is the likeliest) are the model's own, before temperature, filters and bias; `top` likewise. `ms` of
    the first step includes the prefill. `stop_reason` is set on the last step.
    """

    token: int
    text: str
    p: float
    p_end: float
    end_rank: int
    top: tuple[tuple[int, float], ...]
    ms: float
    cache_bytes: int
    stop_reason: StopReason | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends a generation besides the model itself. Without `use_cache` every step recomputes the whole text."""

    max_new_tokens: int
    stop_strings: tuple[str, ...] = ()
    use_cache: bool = True
    top: int = 8


def generate(
    model: Decoder, tokenizer: Tokenizer, prompt: Sequence[int], params: SamplingParams, limits: Limits
) -> Iterator[Step]:
    """Continues `prompt` (token ids, at least one). Raises Cancelled when the model's `is_cancelled` says so."""
    rng = generator(params.seed)
    cache = ContiguousCache(model.config, len(prompt) + limits.max_new_tokens) if limits.use_cache else None
    out = TextStream(Detokenizer(tokenizer), limits.stop_strings)
    ids = list(prompt)
    pending = list(prompt)
    for count in range(1, limits.max_new_tokens + 1):
        started = clock()
        logits = last_logits(model, pending if cache is not None else ids, cache)
        token = sample(logits, params, rng)
        ms = (clock() - started) * 1e3
        ids.append(token)
        pending = [token]
        ended = token in tokenizer.eos_ids
        text = "" if ended else out.feed(token)
        reason: StopReason | None = None
        if ended:
            reason = "end token"
        elif out.stopped:
            reason = "stop string"
        elif len(ids) >= model.config.n_ctx:
            reason = "context full"
        elif count == limits.max_new_tokens:
            reason = "max tokens"
        if reason is not None and not out.stopped:
            text += out.flush()
        yield _step(logits, token, text, tokenizer, limits.top, ms, cache.nbytes if cache else 0, reason)
        if reason is not None:
            return


def last_logits(model: Decoder, ids: Sequence[int], cache: KVCache | None) -> Tensor:
    """Logits [d_vocab] after the last of `ids`; with a cache, long prompts go through in chunks, which is exact."""
    if cache is None:
        return model.forward(torch.tensor([ids]), logits_to_keep=1).logits[0, -1]
    for start in range(0, len(ids), PREFILL_CHUNK):
        chunk = torch.tensor([ids[start : start + PREFILL_CHUNK]])
        logits = model.forward(chunk, cache, logits_to_keep=1).logits
    return logits[0, -1]


class TextStream:
    """Turns token ids into text to show: whole characters only, and never the beginning of a stop string."""

    def __init__(self, detokenizer: Detokenizer, stop_strings: tuple[str, ...]) -> None:
        self.stopped = False
        self._detokenizer = detokenizer
        self._stops = tuple(stop for stop in stop_strings if stop)
        self._held = ""

    def feed(self, token: int) -> str:
        """The text that is certain now; `stopped` once a stop string is complete, which is itself never shown."""
        self._held += self._detokenizer.feed(token)
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._held[: min(found)]
        keep = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown

    def flush(self) -> str:
        """What was held back; nothing more will come."""
        held, self._held = self._held + self._detokenizer.flush(), ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


def _step(
    logits: Tensor,
    token: int,
    text: str,
    tokenizer: Tokenizer,
    top: int,
    ms: float,
    cache_bytes: int,
    reason: StopReason | None,
) -> Step:
    p = logits.softmax(-1)
    # a model without an end token ends with probability 0, which every token beats
    end = p[sorted(tokenizer.eos_ids)] if tokenizer.eos_ids else p.new_zeros(1)
    best = p.topk(top)
    return Step(
        token=token,
        text=text,
        p=float(p[token]),
        p_end=float(end.sum()),
        end_rank=int((p > end.max()).sum()),
        top=tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True)),
        ms=ms,
        cache_bytes=cache_bytes,
        stop_reason=reason,
    )
