"""Lessons on a device that is not the CPU, with matrices in bf16: nothing of the CPU is mixed in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.generation.generate import Limits
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.work import Watch
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from llm_holes.lessons.shared.copies import COPIES
from llm_holes.lessons.worker import EngineHost
from tests.support.elsewhere import elsewhere
from tests.support.soak import examples
from tests.support.tiny_families import write_family

LONG = (
    *("tokenization-perf", "dimension-tradeoffs", "kv-cache-offloading", "thinking", "tool-calls", "what-happens"),
    *("sparse-attention", "prefill-decode", "final-vector-to-token", "stopping", "skills", "memory", "kv-cache"),
)
"""What takes a second and more there, where each operation goes through Python: only in `just soak`."""
SHORT = [name for name in catalog.load().lessons if name not in {*LONG, "planning"}]
"""All others but one, which refuses random weights."""
CLOSE = 0.05
"""Of a measurement in fp32, how far it may be in bf16."""
STABLE = {
    "dot-product": "attention_score",
    "tokens": "p_next",
    "weights": "found_input_value",
    "gradients": "grad_norm_table",
    "directions": "kl_nats",
    "model-layers": "p_answer",
    "attention": "weight_on_look",
    "multi-head-attention": "kl_most_important_head",
    "ffn": "top_writer_adds",
    "final-vector-to-token": "entropy_nats",
    "layer-transforms": "stream_norm",
    "hidden-states": "cosine_middle",
    "sparse-attention": "kl_nats",
    "attention-approximations": "kl_nats",
    "quantization": "kl_nats",
    "memory": "cosines_apart",
}
"""A measurement of each that no clock and no close choice decides."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> store.ModelFiles:
    with pytest.MonkeyPatch.context() as patch:
        folder: Path = tmp_path_factory.mktemp("there")
        patch.setenv("LLM_HOLES_CACHE", str(folder / "cache"))
        return store.locate(str(write_family(folder / "m", "llama-rope3", 1024)), lambda status: None)


@pytest.fixture(scope="module")
def here(files: store.ModelFiles) -> Engine:
    return Engine.load(files, 1)


def last(engine: Engine, lesson_id: str) -> dict[str, object]:
    lesson = catalog.load()[lesson_id]
    *_, frame = catalog.experiment(lesson).run(engine, validated(lesson, {}, engine.info))
    return dict(frame.measured)


@pytest.mark.parametrize("lesson_id", [*SHORT, *LONG][: examples(len(SHORT))])
def test_a_lesson_measures_there_what_it_measures_here(
    files: store.ModelFiles, here: Engine, state: Path, lesson_id: str
) -> None:
    expected = last(here, lesson_id)
    with elsewhere("bf16") as place:
        found = last(Engine.load(files, 1, place), lesson_id)
    assert found.keys() == expected.keys()
    if name := STABLE.get(lesson_id):
        assert found[name] == pytest.approx(expected[name], rel=CLOSE)


def test_a_seed_samples_there_what_it_samples_here(files: store.ModelFiles, here: Engine) -> None:
    prompt, warm, limits = here.encode("Once upon"), SamplingParams(temperature=1.0, seed=3), Limits(6)
    expected = [step.token for step in here.generate(prompt, warm, limits)]
    with elsewhere() as place:
        assert [step.token for step in Engine.load(files, 1, place).generate(prompt, warm, limits)] == expected


def test_bf16_takes_half_the_bytes_and_a_change_of_a_weight_is_seen(files: store.ModelFiles, here: Engine) -> None:
    from llm_holes.engine.device import Place
    from llm_holes.engine.surgery.ablations import LayersSwapped

    half = Engine.load(files, 1, Place(dtype="bf16"))
    ids = here.encode("Once upon a time")
    assert half.info.dtype == "bf16"
    assert 2 * sum(w.nbytes for w in half.model.packed.values()) == sum(
        w.nbytes for w in here.model.weights.values() if w.dim() == 2
    )
    swapped = [engine.operated([LayersSwapped(0, 2)]).logits(ids, 1) for engine in (here, half)]
    assert math.isclose(float(swapped[0].norm()), float(swapped[1].norm()), rel_tol=CLOSE)
    assert not swapped[1].equal(half.logits(ids, 1))


def test_the_host_puts_a_model_where_it_was_told_to(files: store.ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    info = EngineHost(files.folder, 1, "cpu", "bf16").load(lambda status: None)
    assert (info.device, info.dtype, info.weight_format) == ("cpu", "bf16", "F32 file, bf16 in memory")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ModelError, match="this machine has no cuda that torch can use"):
        EngineHost(files.folder, 1, "cuda").load(lambda status: None)


def test_a_lesson_that_copies_the_model_says_so_before_it_runs(
    files: store.ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = EngineHost(files.folder, 1, "cpu")
    host.load(lambda status: None)
    monkeypatch.setattr("llm_holes.engine.memory.free_bytes", lambda device: 10_000)
    with pytest.raises(InputError, match=r"3 copies of all 97,296 weights in fp32, 1\.11 MiB, and 9\.77 KiB"):
        host.run("gradients", {}, Watch(), None)
    assert all(catalog.load()[lesson] for lesson in COPIES)
