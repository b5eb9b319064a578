"""GGUF files: what the reference writer wrote is read back, and hostile files are refused at once."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from llm_holes.engine.checkpoint import gguf
from llm_holes.engine.checkpoint.convert import convert
from llm_holes.engine.errors import ModelError
from llm_holes.engine.model.config import read_config
from tests.support import tiny_gguf
from tests.support.clock import AtMost

BLOCKS = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_S", "IQ3_XXS", "IQ4_XS", "Q2_K", "Q3_K", "Q6_K", "TQ1_0", "MXFP4")
QUANTIZED = {"Q4_0": 0.2, "Q4_1": 0.2, "Q5_0": 0.1, "Q5_1": 0.1, "Q8_0": 0.02, "F16": 1e-3, "BF16": 0.02, "F32": 0}


def convert_quietly(source: Path, folder: Path) -> Path:
    folder.mkdir()
    convert(source, folder, lambda done, total: None)
    return folder


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_conversion_gives_back_the_hugging_face_weights(architecture: str, tmp_path: Path) -> None:
    expected = tiny_gguf.write_gguf(tmp_path / "m.gguf", architecture)
    folder = convert_quietly(tmp_path / "m.gguf", tmp_path / "out")
    found = load_file(folder / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    config = read_config(folder)
    assert (config.family, config.n_heads, config.n_kv_heads, config.d_head) == (architecture, 4, 2, 16)
    assert (config.d_mlp, config.n_ctx, config.norm_eps, config.ropes[0].rope_theta) == (96, 128, 1e-5, 5000.0)
    assert config.tied_embeddings == (architecture == "qwen2")


def test_conversion_reports_bytes_up_to_the_file(tmp_path: Path) -> None:
    tiny_gguf.write_gguf(tmp_path / "m.gguf")
    seen: list[tuple[int, int]] = []
    convert(tmp_path / "m.gguf", tmp_path, lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    done, total = seen[-1]
    assert done == total
    assert total < (tmp_path / "model.safetensors").stat().st_size < total + 10_000


def test_llama3_rope_scaling_is_recovered_from_its_frequencies(tmp_path: Path) -> None:
    wavelength = 2 * np.pi * 5000.0 ** (np.arange(8) / 8)
    smooth = np.clip((8192 / wavelength - 1) / 3, 0, 1)
    factors = (1 / ((1 - smooth) / 8 + smooth)).astype(np.float32)
    tiny_gguf.write_gguf(tmp_path / "m.gguf", extra={"rope_freqs.weight": factors})
    rope = read_config(convert_quietly(tmp_path / "m.gguf", tmp_path / "out")).ropes[0]
    assert (rope.rope_type, rope.rope_theta, rope.factor) == ("llama3", 5000.0, 8.0)
    assert (rope.low_freq_factor, rope.high_freq_factor, rope.original_max_position_embeddings) == (1.0, 4.0, 8192)


def test_a_rope_scaling_other_than_llama3s_is_refused(tmp_path: Path) -> None:
    other = np.linspace(8, 1, 8, dtype=np.float32)
    tiny_gguf.write_gguf(tmp_path / "m.gguf", extra={"rope_freqs.weight": other})
    with pytest.raises(ModelError, match="rope scaling"):
        convert_quietly(tmp_path / "m.gguf", tmp_path / "out")


@pytest.mark.parametrize(("kind", "error"), QUANTIZED.items())
def test_rows_are_the_weights_up_to_their_rounding(kind: str, error: float, tmp_path: Path) -> None:
    values = tiny_gguf.write_quantized(tmp_path / "q.gguf", GGMLQuantizationType[kind])
    file = gguf.read(tmp_path / "q.gguf")
    found = gguf.rows(file, file.tensors["t"], 1, 3)
    assert found.dtype == np.float32
    assert np.abs(found - values[1:3]).max() <= error * np.abs(values).max()
    assert gguf.type_name(file.tensors["t"].type) == kind


@pytest.mark.parametrize("kind", BLOCKS)
def test_rows_of_a_type_that_only_llama_cpp_writes_are_what_the_reference_reads(kind: str, tmp_path: Path) -> None:
    from gguf import GGML_QUANT_SIZES, GGUFWriter, quants

    quantization = GGMLQuantizationType[kind]
    weights, size = GGML_QUANT_SIZES[quantization]
    codes = np.random.default_rng(2).integers(0, 0x3A, (4, 256 // weights * size), dtype=np.uint8)
    writer = GGUFWriter(tmp_path / "q.gguf", "llama")
    writer.add_tensor("t", codes, raw_dtype=quantization)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = gguf.read(tmp_path / "q.gguf")
    np.testing.assert_array_equal(gguf.rows(file, file.tensors["t"], 1, 4), quants.dequantize(codes, quantization)[1:])


def test_a_type_without_a_decoder_is_named(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(tmp_path / "q.gguf", "llama")
    writer.add_tensor("t", np.zeros((1, 292), np.uint8), raw_dtype=GGMLQuantizationType.Q8_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = gguf.read(tmp_path / "q.gguf")
    with pytest.raises(ModelError, match="tensor type Q8_K"):
        gguf.rows(file, file.tensors["t"], 0, 1)


def test_q4_1_blocks_are_the_stored_scale_minimum_and_codes(tmp_path: Path) -> None:
    values = tiny_gguf.write_quantized(tmp_path / "q.gguf", GGMLQuantizationType.Q4_1)
    blocks = gguf.q4_1_blocks(tmp_path / "q.gguf", "t", 9)
    assert len(blocks) == 9
    for (d, m, codes), block in zip(blocks, values.reshape(-1, 32), strict=False):
        assert set(codes) <= set(range(16))
        rebuilt = [d * code + m for code in codes]
        assert np.abs(np.array(rebuilt) - block).max() <= d
    file = gguf.read(tmp_path / "q.gguf")
    row = gguf.rows(file, file.tensors["t"], 0, 1)[0]
    np.testing.assert_allclose([d * c + m for d, m, codes in blocks[:8] for c in codes], row, rtol=1e-6)
    assert len(gguf.q4_1_blocks(tmp_path / "q.gguf", "t", 10_000)) == 4 * 256 // 32
    with pytest.raises(ModelError, match="no Q4_1 tensor"):
        gguf.q4_1_blocks(tmp_path / "q.gguf", "other", 1)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def header(tensors: int, keys: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def tensor(name: str, dimensions: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, kind, offset)


HUGE = 2**63
BODY = bytes(4096)
HOSTILE = {
    "empty": b"",
    "not gguf": b"PK\x03\x04" + BODY,
    "version 1": header(0, 0, 1),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "cut in the header": header(1, 1)[:13],
    "huge array in 48 bytes": header(0, 1) + text("a") + struct.pack("<IIQ", 9, 0, HUGE),
    "huge tensor count": header(HUGE, 0) + BODY,
    "huge key count": header(0, HUGE) + BODY,
    "huge key": header(0, 1) + struct.pack("<Q", HUGE) + BODY,
    "huge string": header(0, 1) + text("a") + struct.pack("<IQ", 8, HUGE) + BODY,
    "long array past the end": header(0, 1) + text("a") + struct.pack("<IIQ", 9, 8, 2**21) + BODY,
    "nested arrays": header(0, 1) + text("a") + struct.pack("<II", 9, 9) * 100 + BODY,
    "unknown value type": header(0, 1) + text("a") + struct.pack("<I", 77) + BODY,
    "text that is not UTF-8": header(0, 1) + struct.pack("<Q", 1) + b"\xff" + BODY,
    "key twice": header(0, 2) + 2 * (text("a") + struct.pack("<IB", 0, 1)),
    "alignment 0": header(0, 1) + text("general.alignment") + struct.pack("<II", 4, 0) + BODY,
    "alignment 3": header(0, 1) + text("general.alignment") + struct.pack("<II", 4, 3) + BODY,
    "alignment a text": header(0, 1) + text("general.alignment") + struct.pack("<I", 8) + text("x") + BODY,
    "many dimensions": header(1, 0) + text("t") + struct.pack("<I", 2**31) + BODY,
    "no dimensions": header(1, 0) + tensor("t", []) + BODY,
    "dimension 0": header(1, 0) + tensor("t", [0, 32]) + BODY,
    "huge dimensions": header(1, 0) + tensor("t", [2**31, 2**31, 2**31, 2**31]) + BODY,
    "overflowing dimension": header(1, 0) + tensor("t", [HUGE]) + BODY,
    "unknown tensor type": header(1, 0) + tensor("t", [32], kind=4) + BODY,
    "row not whole blocks": header(1, 0) + tensor("t", [33], kind=3) + BODY,
    "offset past the end": header(1, 0) + tensor("t", [32], offset=2**20) + BODY,
    "offset overflow": header(1, 0) + tensor("t", [32], offset=2**64 - 32) + BODY,
    "offset not aligned": header(1, 0) + tensor("t", [32], offset=7) + BODY,
    "tensors overlap": header(2, 0) + tensor("t", [64]) + tensor("u", [32], offset=32) + BODY,
    "tensor twice": header(2, 0) + tensor("t", [8]) + tensor("t", [8], offset=32) + BODY,
    "many empty texts": header(0, 3) + (text("a") + struct.pack("<IIQ", 9, 8, 2**20) + bytes(2**23)) * 2,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_two_seconds(name: str, tmp_path: Path, at_most: AtMost) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(HOSTILE[name])
    with at_most(2), pytest.raises(ModelError, match=r"hostile\.gguf") as caught:
        gguf.read(path)
    assert caught.value.hint


@pytest.mark.parametrize("fraction", [0.001, 0.05, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(fraction: float, tmp_path: Path) -> None:
    tiny_gguf.write_gguf(tmp_path / "m.gguf")
    data = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(ModelError):
        gguf.read(tmp_path / "m.gguf")


@given(st.data())
@settings(
    max_examples=300, deadline=2000, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_bytes_are_read_or_refused_never_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    source = tmp_path / "m.gguf"
    if not source.exists():
        tiny_gguf.write_gguf(source)
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 6000))
        content[at] = data.draw(st.integers(0, 255))
    damaged, out = tmp_path / "damaged.gguf", tmp_path / "out"
    damaged.write_bytes(content)
    out.mkdir(exist_ok=True)
    with contextlib.suppress(ModelError):
        convert(damaged, out, lambda done, total: None)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"architecture": "gemma"}, "architecture 'gemma'"),
        ({"pre": "kimi-k2"}, "tokenizer of kind 'kimi-k2'"),
        ({"template": "x" * 70_000}, "chat template"),
        ({"keys": {"llama.attention.sliding_window": 64}}, "sliding_window"),
        ({"keys": {"llama.logit_scale": 2.0}}, "logit_scale"),
        ({"keys": {"llama.expert_count": 8}}, "no tensor 'blk.0.ffn_gate_exps"),
        ({"keys": {"llama.attention.value_length": 8}}, "another length"),
        ({"keys": {"llama.rope.scaling.type": "yarn"}}, "yarn"),
        ({"keys": {"llama.rope.scaling.attn_factor": 1.5}}, "attn_factor"),
        ({"keys": {"llama.new": [1, 2]}}, r"llama\.new"),
        ({"keys": {"general.type": "adapter"}}, "of type 'adapter'"),
        ({"keys": {"split.count": 3, "split.no": 0}}, "one of 3 parts of a split GGUF"),
        ({"extra": {"blk.0.ffn_gate_inp.weight": np.zeros((2, 64), np.float32)}}, "ffn_gate_inp"),
        ({"extra": {"blk.2.attn_q.weight": np.zeros((64, 64), np.float32)}}, "attn_q"),
    ],
)
def test_a_model_it_does_not_know_is_named_and_refused(arguments: dict[str, Any], reason: str, tmp_path: Path) -> None:
    tiny_gguf.write_gguf(tmp_path / "m.gguf", **arguments)
    with pytest.raises(ModelError, match=reason):
        convert_quietly(tmp_path / "m.gguf", tmp_path / "out")


@pytest.mark.parametrize(
    ("keys", "factor"),
    [
        ({"llama.rope.scale_linear": 4.0}, 4.0),
        ({"llama.rope.scaling.factor": 2.0}, 2.0),
        ({"llama.rope.scaling.factor": 2.0, "llama.rope.scale_linear": 4.0}, 2.0),
        ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 8.0}, 8.0),
        ({"llama.rope.scaling.type": "none", "llama.rope.scale_linear": 4.0}, None),
        ({"llama.rope.scale_linear": 1.0}, None),
        ({"llama.expert_count": 0, "llama.attention.causal": True, "general.anything": 7}, None),
    ],
)
def test_old_and_new_keys_of_rope_scaling_mean_what_they_mean_to_llama_cpp(
    keys: dict[str, Any], factor: float | None, tmp_path: Path
) -> None:
    tiny_gguf.write_gguf(tmp_path / "m.gguf", keys=keys)
    rope = read_config(convert_quietly(tmp_path / "m.gguf", tmp_path / "out")).ropes[0]
    assert (rope.rope_type, rope.factor) == (("default", 1.0) if factor is None else ("linear", factor))


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"tjgg\x03\0\0\0" + BODY, "before GGUF"),
        (header(0, 0, 1), "version 1"),
    ],
)
def test_what_is_no_gguf_file_of_today_is_named(start: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(start)
    with pytest.raises(ModelError, match=said) as caught:
        gguf.read(tmp_path / "m.gguf")
    assert "fetch" not in caught.value.hint


def split(path: Path, folder: Path) -> list[Path]:
    """The file's tensors as llama-gguf-split cuts them into three files: all metadata is in the first."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    reader = GGUFReader(path)
    made = []
    for part in range(3):
        writer = GGUFWriter(folder / f"m-{part + 1:05}-of-00003.gguf", "llama")
        for key, field in reader.fields.items():
            if part == 0 and not key.startswith("GGUF.") and key != "general.architecture":
                kind = field.types[0]
                inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
                writer.add_key_value(key, field.contents(), kind, inner)
        writer.add_uint16("split.no", part)
        writer.add_uint16("split.count", 3)
        for tensor in reader.tensors[part::3]:
            writer.add_tensor(tensor.name, tensor.data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        made.append(folder / f"m-{part + 1:05}-of-00003.gguf")
    return made


def test_a_model_split_into_several_files_is_read_as_one_from_any_of_them(tmp_path: Path) -> None:
    tiny_gguf.write_gguf(tmp_path / "m.gguf")
    whole = convert_quietly(tmp_path / "m.gguf", tmp_path / "whole")
    paths = split(tmp_path / "m.gguf", tmp_path)
    for number, path in enumerate(paths):
        folder = convert_quietly(path, tmp_path / f"out{number}")
        for name in ("model.safetensors", "config.json", "tokenizer.json"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    paths[2].unlink()
    with pytest.raises(ModelError, match=r"m-00003-of-00003\.gguf cannot be found"):
        gguf.read(paths[0])
    paths[1].replace(paths[2])
    (tmp_path / "m.gguf").replace(paths[1])
    with pytest.raises(ModelError, match="no part of the same model"):
        gguf.read(paths[0])


def test_a_file_with_a_vocabulary_alone_is_told_from_a_model(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(tmp_path / "m.gguf", "llama")
    tiny_gguf.add_tokenizer(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(ModelError, match=r"does not say llama\.embedding_length"):
        convert_quietly(tmp_path / "m.gguf", tmp_path / "out")


def test_a_directory_or_pipe_is_no_gguf_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    for path in (tmp_path, tmp_path / "pipe.gguf", tmp_path / "missing.gguf"):
        with pytest.raises(ModelError):
            gguf.read(path)
