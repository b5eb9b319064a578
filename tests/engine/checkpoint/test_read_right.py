"""Folders as people really have them: the weights are what transformers makes of them, or one sentence says why not."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from llm_holes.engine import selfcheck
from llm_holes.engine.checkpoint import store
from llm_holes.engine.checkpoint.convert import convert
from llm_holes.engine.checkpoint.plain import without_code
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import from_hugging_face
from tests.support import tiny_gguf

Weights = dict[str, Tensor]
TABLE, HEAD = "model.embed_tokens.weight", "lm_head.weight"
UP = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(folder: Path, change: Callable[[Weights], Weights] = dict, **config: Any) -> Path:
    """A tiny folder with changed weights and config; its matrices are small enough that rounding stays small."""
    tiny_gguf.write_folder(folder, **config)
    path = folder / "model.safetensors"
    weights = {name: w * 0.2 if w.dim() == 2 else w for name, w in load_file(path).items()}
    save_file({name: w.contiguous() for name, w in change(weights).items()}, path, {"format": "pt"})
    return folder


def load(folder: Path) -> Engine:
    return Engine.load(store.locate(str(folder), lambda status: None), 1)


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert caught.value.hint
    assert "etch" not in caught.value.hint
    return str(caught.value)


def reads_as_transformers_does(folder: Path) -> Engine:
    engine = load(folder)
    assert selfcheck.transformers_logits(engine, list(range(3, 60))).ok
    return engine


INERT_KEYS = {
    "_name_or_path": "a/b",
    "_attn_implementation_autoset": True,
    "use_cache": False,
    "torch_dtype": "bfloat16",
    "rope_interleaved": False,
    "is_llama_config": True,
    "temperature": 0.5,
    "unsloth_version": "2025.1",
    "sliding_window": None,
    "pruned_heads": {},
    "attention_dropout": 0.1,
}


def test_keys_that_change_nothing_are_passed_over(tmp_path: Path) -> None:
    reads_as_transformers_does(written(tmp_path / "m", **INERT_KEYS))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("logit_scale", 2.0),
        ("attn_logit_softcapping", 30.0),
        ("rope_interleaved", True),
        ("partial_rotary_factor", 0.5),
        ("pruned_heads", {"0": [1]}),
        ("residual_multiplier", 0.2),
        ("no_rope_layers", [1, 0]),
        ("rope_scaling", {"rope_type": "linear", "factor": 2.0, "attention_factor": 1.5}),
        ("sliding_window", 16),
        ("layer_types", ["full_attention", "sliding_attention"]),
        ("hidden_act", "mish"),
    ],
)
def test_a_key_that_could_change_what_is_computed_is_refused_by_its_name(key: str, value: Any, tmp_path: Path) -> None:
    name = "attention_factor" if key == "rope_scaling" else value if key == "hidden_act" else key
    assert name in refusal(written(tmp_path / "m", **{key: value}))


@pytest.mark.parametrize("scaling", [{"type": "linear"}, {"rope_type": "llama3", "factor": 8.0}])
def test_a_scaling_that_lacks_a_number_is_refused(scaling: dict[str, Any], tmp_path: Path) -> None:
    assert "factor" in refusal(written(tmp_path / "m", rope_scaling=scaling))


def test_llama3_scaling_counts_from_the_context_where_it_does_not_say_from_what(tmp_path: Path) -> None:
    scaling = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    reads_as_transformers_does(written(tmp_path / "m", rope_scaling=scaling))


QUANTIZATIONS: dict[str, dict[str, Any]] = {
    "GPTQ": {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    "AWQ": {"quantization_config": {"quant_method": "awq", "bits": 4}},
    "bitsandbytes": {"quantization_config": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}},
    "compressed-tensors": {"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}},
    "MLX": {"quantization": {"group_size": 64, "bits": 4}},
    "FP8": {"quantization_config": {"quant_method": "fp8", "activation_scheme": "static"}},
    "MXFP4": {"quantization_config": {"quant_method": "mxfp4"}},
    "quanto": {"quantization_config": {"quant_method": "quanto"}},
}


@pytest.mark.parametrize("name", QUANTIZATIONS)
def test_a_quantized_folder_is_refused_by_the_name_of_its_format(name: str, tmp_path: Path) -> None:
    assert name in refusal(written(tmp_path / "m", **QUANTIZATIONS[name]))


@pytest.mark.parametrize(
    ("end", "name"),
    [
        ("qweight", "GPTQ"),
        ("weight.absmax", "bitsandbytes"),
        ("SCB", "bitsandbytes"),
        ("weight_packed", "compressed-tensors"),
        ("weight_scale", "FP8"),
        ("biases", "MLX"),
    ],
)
def test_a_quantized_folder_is_known_by_its_tensors_too(end: str, name: str, tmp_path: Path) -> None:
    def change(w: Weights) -> Weights:
        return {UP.removesuffix("weight") + end if name == UP else name: value for name, value in w.items()}

    assert name in refusal(written(tmp_path / "m", change))


def in_fp8(w: Weights, rows: int, columns: int) -> Weights:
    """As the FP8 folders of Qwen3 and DeepSeek have it: each block of a matrix divided by a scale of its own."""
    found: Weights = {}
    for name, value in w.items():
        if not name.endswith("_proj.weight"):
            found[name] = value.bfloat16()
            continue
        high, wide = (math.ceil(n / step) for n, step in zip(value.shape, (rows, columns), strict=True))
        padded = torch.zeros(high * rows, wide * columns)
        padded[: value.shape[0], : value.shape[1]] = value
        scales = padded.view(high, rows, wide, columns).abs().amax((1, 3)) / 448
        spread = scales.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
        codes = (padded / spread)[: value.shape[0], : value.shape[1]]
        found[name], found[f"{name}_scale_inv"] = codes.to(torch.float8_e4m3fn), scales
    return found


def test_fp8_matrices_are_multiplied_by_the_scales_of_their_blocks(tmp_path: Path) -> None:
    block = {"quant_method": "fp8", "weight_block_size": [48, 40]}  # fits no side of these matrices
    plain = load(written(tmp_path / "plain")).model.weights
    engine = load(written(tmp_path / "m", lambda w: in_fp8(w, 48, 40), quantization_config=block))
    assert engine.model.weights.keys() == plain.keys()
    for name, w in plain.items():
        assert (engine.model.weights[name] - w).abs().max() <= w.abs().max() / 16, name
    assert selfcheck.transformers_logits(engine, list(range(3, 60))).ok


def test_fp8_without_its_scales_is_refused(tmp_path: Path) -> None:
    fp8 = {"quant_method": "fp8", "weight_block_size": [32, 32]}

    def change(w: Weights) -> Weights:
        return {name: value for name, value in in_fp8(w, 32, 32).items() if not name.endswith("scale_inv")}

    assert "scale_inv" in refusal(written(tmp_path / "m", change, quantization_config=fp8))
    assert "F8_E4M3" in refusal(written(tmp_path / "n", change))


def test_buffers_of_old_versions_are_passed_over_and_not_counted(tmp_path: Path) -> None:
    def change(w: Weights) -> Weights:
        layer = "model.layers.0.self_attn."
        return w | {f"{layer}rotary_emb.inv_freq": torch.ones(8), f"{layer}masked_bias": torch.tensor(-1e4)}

    engine = reads_as_transformers_does(written(tmp_path / "m", change))
    assert engine.info.parameters == load(written(tmp_path / "n")).info.parameters


@pytest.mark.parametrize(
    "name",
    ["model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.q_norm.weight", "model.layers.2.mlp.x", "score"],
)
def test_a_tensor_without_use_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    assert name in refusal(written(tmp_path / "m", lambda w: w | {name: torch.ones(4)}))


def test_biases_are_there_if_and_only_if_the_config_says_so(tmp_path: Path) -> None:
    def change(w: Weights) -> Weights:
        return w | {n.replace("weight", "bias"): torch.randn(v.shape[0]) for n, v in w.items() if "self_attn" in n}

    reads_as_transformers_does(written(tmp_path / "m", change, attention_bias=True))
    assert "bias" in refusal(written(tmp_path / "n", change))
    assert "bias" in refusal(written(tmp_path / "o", attention_bias=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_read(dtype: torch.dtype, tmp_path: Path) -> None:
    reads_as_transformers_does(written(tmp_path / "m", lambda w: {name: v.to(dtype) for name, v in w.items()}))


@pytest.mark.parametrize(
    ("dtype", "name"), [(torch.float64, "F64"), (torch.int8, "I8"), (torch.float8_e5m2, "F8_E5M2")]
)
def test_another_type_is_refused_by_its_name(dtype: torch.dtype, name: str, tmp_path: Path) -> None:
    said = refusal(written(tmp_path / "m", lambda w: {n: v.to(dtype) if n == UP else v for n, v in w.items()}))
    assert UP in said
    assert name in said


def test_the_text_part_of_a_larger_model_is_named(tmp_path: Path) -> None:
    said = refusal(written(tmp_path / "m", model_type="gemma3", text_config={"model_type": "gemma3_text"}))
    assert "'gemma3' are not supported" in said
    assert "a 'gemma3_text', is a part" in said


@pytest.mark.parametrize("name", ["tokenizer.model", "vocab.json", "tekken.json", ""])
def test_a_tokenizer_in_another_format_is_named(name: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    (folder / "tokenizer.json").unlink()
    if name:
        (folder / name).write_text("{}")
    assert f"no tokenizer.json{', only ' * bool(name)}{name}" in refusal(folder)


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\n<!DOCTYPE html>...", "is a web page")])
def test_what_was_downloaded_instead_of_weights_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(content)
    assert said in refusal(folder)


def test_a_folder_above_a_model_names_the_model(tmp_path: Path) -> None:
    written(tmp_path / "above" / "checkpoint-100")
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "above")
    assert str(tmp_path / "above" / "checkpoint-100") in caught.value.hint


def test_without_an_output_table_the_way_to_tie_it_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "m", lambda w: {name: value for name, value in w.items() if name != HEAD})
    with pytest.raises(ModelError, match=HEAD) as caught:
        load(folder)
    assert '"tie_word_embeddings": true' in caught.value.hint
    written(tmp_path / "tied", lambda w: {name: v for name, v in w.items() if name != HEAD}, tie_word_embeddings=True)
    reads_as_transformers_does(tmp_path / "tied")


def test_a_tied_copy_counts_once_and_another_head_is_used(tmp_path: Path) -> None:
    def without_head(w: Weights) -> Weights:
        return {name: v for name, v in w.items() if name != HEAD}

    tied = reads_as_transformers_does(written(tmp_path / "tied", without_head, tie_word_embeddings=True))
    copy = load(written(tmp_path / "copy", lambda w: w | {HEAD: w[TABLE].clone()}, tie_word_embeddings=True))
    assert copy.info.parameters == tied.info.parameters
    assert copy.info.tied_embeddings
    ids = list(range(8))  # of fewer the sums are made in an order that depends on where a file's weights begin
    assert torch.equal(copy.logits(ids), tied.logits(ids))
    other = reads_as_transformers_does(written(tmp_path / "other", tie_word_embeddings=True))
    assert not other.info.tied_embeddings
    assert not torch.equal(other.logits([3, 4]), tied.logits([3, 4]))


def test_the_one_table_of_a_tied_model_may_be_there_as_its_head(tmp_path: Path) -> None:
    def without_table(w: Weights) -> Weights:
        return {name: v for name, v in w.items() if name != TABLE}

    engine = reads_as_transformers_does(written(tmp_path / "m", without_table, tie_word_embeddings=True))
    assert engine.info.tied_embeddings
    assert TABLE in engine.model.weights
    assert HEAD not in engine.model.weights


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_that_are_no_numbers_are_told_when_they_are_loaded(
    value: float, dtype: torch.dtype, tmp_path: Path
) -> None:
    def change(w: Weights) -> Weights:
        w[UP][-1, -1] = value
        return {name: v.to(dtype) for name, v in w.items()}

    folder = written(tmp_path / "m", change)
    for _ in range(2):
        said = refusal(folder)
        assert UP in said
        assert "NaN" in said


def test_weights_of_a_gguf_file_that_are_no_numbers_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tiny_gguf.weights

    def with_nan(architecture: str, vocab: int) -> Any:
        found = weights(architecture, vocab)
        found[UP][3, 3] = np.nan
        return found

    monkeypatch.setattr(tiny_gguf, "weights", with_nan)
    tiny_gguf.write_gguf(tmp_path / "m.gguf")
    with pytest.raises(ModelError, match=r"NaN or infinity, first in blk\.1\.ffn_up\.weight"):
        convert(tmp_path / "m.gguf", tmp_path, lambda done, total: None)


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_named(file: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    (folder / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 269060552\n")
    with pytest.raises(ModelError, match=f"{file} is a Git LFS pointer") as caught:
        load(folder)
    assert "git lfs pull" in caught.value.hint


def test_an_adapter_is_named_with_its_base(tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    for base in ("org/base", None):
        adapter = {"peft_type": "LORA", "base_model_name_or_path": base}
        (folder / "adapter_config.json").write_text(json.dumps(adapter))
        with pytest.raises(ModelError, match=r"is an adapter \(LORA\) for") as caught:
            load(folder)
        assert (base or "adapter_config.json") in str(caught.value) + str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.fp16.safetensors", "model.fp16.safetensors"),
        ("model-00001-of-00002.safetensors", "model-00001-of-00002.safetensors"),
        ("consolidated.safetensors", "Mistral's own"),
        ("m.gguf", "m.gguf"),
    ],
)
def test_weights_under_another_file_name_are_named(name: str, said: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / name)
    assert said in refusal(folder)


def test_one_file_of_a_folder_is_told_from_a_model(tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    for name in ("model.safetensors", "config.json"):
        with pytest.raises(ModelError, match=name) as caught:
            store.locate(str(folder / name), lambda status: None)
        assert str(folder) in caught.value.hint


def test_a_body_saved_on_its_own_is_read_and_another_prefix_named(tmp_path: Path) -> None:
    def body(w: Weights) -> Weights:
        return {name.removeprefix("model."): v for name, v in w.items()}

    reads_as_transformers_does(written(tmp_path / "m", body))
    for prefix in ("_orig_mod.model.", "module.model.", "base_model.model.model."):
        folder = written(tmp_path / prefix, lambda w: {prefix + n: v for n, v in body(w).items()})  # noqa: B023
        assert repr(prefix) in refusal(folder)


def test_code_that_a_folder_names_is_neither_refused_nor_run(tmp_path: Path) -> None:
    code = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    folder = written(tmp_path / "m", auto_map=code, _attn_implementation_internal="a/b")
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer |= {"auto_map": {"AutoTokenizer": ["evil.Slow", "evil.Fast"]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    engine = reads_as_transformers_does(folder)
    assert selfcheck.transformers_tokens(engine, engine.encode(selfcheck.TEXT)).figure >= 0


def test_what_other_libraries_see_names_no_code_at_any_depth() -> None:
    value = {
        "auto_map": 1,
        "x": [{"auto_map": 1, "_attn_implementation_internal": "a/b", "y": 2}],
        "attn_implementation": 3,
    }
    assert without_code(value) == {"x": [{"y": 2}]}


def test_defaults_are_those_of_transformers() -> None:
    from transformers import MistralConfig, Qwen2Config, Qwen3Config

    needed = {k: v for k, v in tiny_gguf.CONFIG.items() if k not in ("num_key_value_heads", "model_type")}
    needed |= {"num_attention_heads": 32, "hidden_size": 256}
    for made in (MistralConfig(**needed), Qwen2Config(**needed), Qwen3Config(**needed)):
        config = from_hugging_face({**needed, "model_type": made.model_type})
        assert config.n_kv_heads == made.num_key_value_heads
        assert config.d_head == (getattr(made, "head_dim", None) or 256 // 32)
        assert set(config.windows) == {made.sliding_window}


def test_an_index_that_names_a_missing_file_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert "model-00002-of-00002.safetensors" in refusal(folder)


def test_shards_are_read_as_one(tmp_path: Path) -> None:
    folder = written(tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {name: f"model-{n % 2}.safetensors" for n, name in enumerate(weights)}
    for file in set(names.values()):
        save_file({n: w for n, w in weights.items() if names[n] == file}, folder / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    reads_as_transformers_does(folder)
    save_file(weights, folder / "model-1.safetensors", {"format": "pt"})
    assert "is in model-0.safetensors and model-1.safetensors" in refusal(folder)


ODD: list[Any] = [None, 0, 1, -1, 2, 3.5, 1e999, "x", "", [], {}, [1], {"a": 1}, True, 2**40, 10**30, "mistral", 64]
ODD += [{"quant_method": [1]}, {"rope_type": ["x"]}, ["full_attention"] * 2, "F16", "F8_E4M3", [64, 64], [-1, -64]]


def test_whatever_is_changed_in_config_or_header_it_runs_or_is_refused(tmp_path: Path) -> None:
    """Nothing but ModelError may come of a file, whatever stands in it."""
    rope = {"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    folder = written(tmp_path / "m", rope_scaling=rope, head_dim=16, quantization_config=None, sliding_window=None)
    config = json.loads((folder / "config.json").read_text())
    data = (folder / "model.safetensors").read_bytes()
    length = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:length])
    rng = random.Random(1)
    ran = 0
    for _ in range(400):
        changed, names = json.loads(json.dumps(config)), json.loads(json.dumps(header))
        target = rng.choice([changed, changed, changed["rope_scaling"], names, names[UP]])
        target[rng.choice(list(target))] = rng.choice(ODD)
        (folder / "config.json").write_text(json.dumps(changed))
        text = json.dumps(names).encode()
        (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[length:])
        with contextlib.suppress(ModelError):
            load(folder).logits([3, 4, 5])
            ran += 1
    assert 20 < ran < 380
