"""Others that write with the same model, to be measured beside llm-holes: transformers, and llama.cpp (`xllamacpp`)."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Protocol


def quiet(threads: int) -> None:
    """What the engine's process sets before torch and numpy are imported, and silence from the others."""
    os.environ.update(OMP_WAIT_POLICY="passive", OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS="1")
    os.environ.update(TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error", TQDM_DISABLE="1")
    warnings.simplefilter("ignore")


@dataclass
class Stopwatch:
    wall: float = 0.0
    cpu: float = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() - cpu


@dataclass(frozen=True)
class Written:
    """Token ids, and the seconds of wall clock and of processor that each took; the prompt is not in them."""

    ids: tuple[int, ...]
    wall: float
    cpu: float


class Writer(Protocol):
    def write(self, prompt: Sequence[int], count: int) -> Written:
        """The `count` likeliest tokens after `prompt`, one by one."""

    def read(self, prompt: Sequence[int]) -> Stopwatch:
        """Reads `prompt` anew: the seconds of it."""


class Transformers:
    """transformers on the same files, in fp32, by its forward pass and cache: `generate` itself is a little slower."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM

        from llm_holes.engine.checkpoint.plain import plain

        with plain(folder) as there:
            self.model: Any = AutoModelForCausalLM.from_pretrained(there, local_files_only=True, dtype="float32")

    def write(self, prompt: Sequence[int], count: int) -> Written:
        import torch

        watch, ids = Stopwatch(), []
        with torch.inference_mode():
            out = self.model(torch.tensor([list(prompt)]), use_cache=True, logits_to_keep=1)
            with watch.running():
                for _ in range(count):
                    ids.append(int(out.logits[0, -1].argmax()))
                    out = self.model(torch.tensor([[ids[-1]]]), past_key_values=out.past_key_values, use_cache=True)
        return Written(tuple(ids), watch.wall / count, watch.cpu / count)

    def read(self, prompt: Sequence[int]) -> Stopwatch:
        import torch

        watch = Stopwatch()
        with torch.inference_mode(), watch.running():
            self.model(torch.tensor([list(prompt)]), use_cache=True, logits_to_keep=1)
        return watch


class Ours:
    """A decoder of llm-holes, by its forward pass and cache."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def write(self, prompt: Sequence[int], count: int) -> Written:
        from llm_holes.engine.generation.generate import last_logits
        from llm_holes.engine.model.cache import ContiguousCache

        watch, ids = Stopwatch(), []
        cache = ContiguousCache(self.model.config, len(prompt) + count)
        logits = last_logits(self.model, prompt, cache)
        with watch.running():
            for _ in range(count):
                ids.append(int(logits.argmax()))
                logits = last_logits(self.model, ids[-1:], cache)
        return Written(tuple(ids), watch.wall / count, watch.cpu / count)

    def read(self, prompt: Sequence[int]) -> Stopwatch:
        from llm_holes.engine.generation.generate import last_logits
        from llm_holes.engine.model.cache import ContiguousCache

        watch = Stopwatch()
        with watch.running():
            last_logits(self.model, prompt, ContiguousCache(self.model.config, len(prompt)))
        return watch


class LlamaCpp:
    """llama.cpp on the GGUF file itself, in its own precision. Its times are those it states."""

    def __init__(self, gguf: str, threads: int) -> None:
        xllamacpp: Any = import_module("xllamacpp")
        how = xllamacpp.CommonParams()
        how.model.path = gguf
        how.cpuparams.n_threads = how.cpuparams_batch.n_threads = threads
        how.n_ctx, how.n_parallel, how.n_gpu_layers, how.verbosity = 4096, 1, 0, 0
        self.server = xllamacpp.Server(how)

    def write(self, prompt: Sequence[int], count: int) -> Written:
        watch = Stopwatch()
        with watch.running():
            timings, ids = self._asked(prompt, count, cached=True)
        # the clock of its writing starts when the first token is there
        return Written(ids, timings["predicted_ms"] / 1e3 / (count - 1), watch.cpu / count)

    def read(self, prompt: Sequence[int]) -> Stopwatch:
        watch = Stopwatch()
        with watch.running():
            timings, _ = self._asked(prompt, 1, cached=False)
        return Stopwatch(timings["prompt_ms"] / 1e3, watch.cpu)

    def _asked(self, prompt: Sequence[int], count: int, cached: bool) -> tuple[dict[str, float], tuple[int, ...]]:
        request = {"prompt": list(prompt), "n_predict": count, "temperature": 0, "ignore_eos": True}
        answer = self.server.handle_completions({**request, "cache_prompt": cached})
        answer = answer if isinstance(answer, dict) else json.loads(answer)
        return answer["timings"], ()


def ratio(runs: Mapping[str, Sequence[Stopwatch | Written]], ours: str, peer: str) -> str:
    """How many times as fast ours is: the medians of the rounds, by wall clock and by processor time."""
    pairs = list(zip(runs[ours], runs[peer], strict=True))
    wall, cpu = median(p.wall / o.wall for o, p in pairs), median(p.cpu / o.cpu for o, p in pairs)
    return f"{wall:.2f} × ({cpu:.2f} × by processor time)"


def spread(values: Sequence[float], unit: float = 1e3) -> str:
    """Median, and from the least to the largest."""
    return f"{median(values) * unit:7.2f} ({min(values) * unit:.2f} to {max(values) * unit:.2f})"
