"""Where a model computes, and what is refused before it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llm_holes.engine import device, memory
from llm_holes.engine.checkpoint.store import ModelFiles, locate
from llm_holes.engine.checkpoint.validate import check
from llm_holes.engine.device import OnDevice, Place, chosen
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.model.config import read_config
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import HeadOff, QuantizedWeights, operated
from tests.support import tiny_gguf

META = torch.device("meta")


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    return locate(str(tiny_gguf.write_folder(tmp_path / "mine")), lambda status: None)


def test_what_is_asked_for_wins_and_a_cpu_alone_takes_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_best", lambda: "cpu")
    assert chosen() == Place(torch.device("cpu"), "fp32")
    assert chosen("cpu", "bf16") == Place(torch.device("cpu"), "bf16")


@pytest.mark.parametrize(("multiplies", "dtype"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_is_taken_where_there_is_one_with_bf16_if_it_can(
    monkeypatch: pytest.MonkeyPatch, multiplies: bool, dtype: str
) -> None:
    monkeypatch.setattr(device, "_best", lambda: "cuda")
    monkeypatch.setattr(device, "_there", lambda place: True)
    monkeypatch.setattr(device, "_multiplies_bf16", lambda place: multiplies)
    assert chosen() == Place(torch.device("cuda"), dtype)
    assert chosen(dtype="fp32").dtype == "fp32"
    assert chosen(device="cpu").dtype == "fp32"


@pytest.mark.parametrize("name", ["cuda:99", "mps"])
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelError, match=f"this machine has no {name} that torch can use"):
        chosen(name)


def test_a_pass_and_its_surgery_make_nothing_on_the_cpu(tiny: Decoder) -> None:
    """Torch itself refuses to mix the two."""
    model = Decoder(tiny.config, {name: w.to(META) for name, w in tiny.weights.items()})
    with OnDevice(META):
        for changed in (model, operated(model, [QuantizedWeights(4, part="ffn"), HeadOff(1, 2)])):
            logits = changed.forward(torch.tensor([[1, 2, 3]]), logits_to_keep=1).logits
            assert (logits.device, logits.shape) == (META, (1, 1, tiny.config.d_vocab))


def test_a_device_without_fp64_computes_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Apple's GPUs; what is made there is left on the CPU."""
    mode = OnDevice(torch.device("mps"))
    monkeypatch.setattr(device, "CONSTRUCTORS", frozenset())
    with mode:
        assert torch.zeros(2, dtype=torch.float64).dtype == torch.float32
        assert torch.zeros(2).double().dtype == torch.float32


def test_a_model_too_large_is_refused_with_the_sum_and_nothing_is_read(
    files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 2**20)
    monkeypatch.setattr("llm_holes.engine.engine.load_weights", lambda *_: pytest.fail("loaded"))
    with pytest.raises(ModelError) as refusal:
        Engine.load(files, 1)
    told = str(refusal.value)
    assert told.startswith("mine is too large for this machine: ")
    assert "of weights in fp32" in told
    assert told.endswith("and 1 MiB of cpu memory are free")
    assert "--dtype bf16" in refusal.value.hint


def test_the_sum_is_that_of_weights_cache_and_peak(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(files.folder)
    config, checkpoint = read_config(folder), check(folder)
    engine = Engine.load(files, 1)
    weights = sum(w.nbytes for w in engine.model.weights.values())
    needed = weights + config.n_ctx * config.kv_bytes_per_token() + memory.LOGITS * config.d_vocab * 4
    for free, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: free)
        if fits:
            memory.refuse_too_large("mine", config, checkpoint, Place())
        else:
            with pytest.raises(ModelError):
                memory.refuse_too_large("mine", config, checkpoint, Place())
            memory.refuse_too_large("mine", config, checkpoint, Place(dtype="bf16"))


def test_a_lesson_that_copies_the_model_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: 2**30)
    memory.refuse_copies("Gradients", 2**27, 2, "cpu")
    with pytest.raises(InputError, match="“Gradients” makes 2 copies of all 134,217,729 weights in fp32"):
        memory.refuse_copies("Gradients", 2**27 + 1, 2, "cpu")


def test_a_control_group_with_a_limit_is_heeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it keeps of files counts as free."""
    group = tmp_path / "learners"
    group.mkdir()
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("600000\n")
    (group / "memory.stat").write_text("anon 100\ninactive_file 200000\nactive_file 0\n")
    monkeypatch.setattr(memory, "groups", lambda controller: [group] if not controller else [])
    assert memory.free_bytes(torch.device("cpu")) == 600_000
    (group / "memory.max").write_text("max\n")
    assert memory.free_bytes(torch.device("cpu")) > 600_000
