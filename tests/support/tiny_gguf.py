"""Tiny models on disk: as a GGUF file written by the reference writer, and as the Hugging Face folder it stands for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

WIDTH, MLP, LAYERS, HEADS, KV_HEADS = 64, 96, 2, 4, 2
HEAD_DIM = WIDTH // HEADS
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
Weights = dict[str, npt.NDArray[np.float32]]


MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or"]


def vocabulary() -> list[str]:
    return [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
        *(m.replace(" ", "") for m in MERGES),
    ]


def weights(architecture: str, vocab: int = 0) -> Weights:
    """Random weights under Hugging Face's names; `vocab` is the length of the tables."""
    random = np.random.default_rng(0)
    vocab = vocab or len(vocabulary())

    def new(*shape: int) -> npt.NDArray[np.float32]:
        return random.standard_normal(shape, dtype=np.float32)

    found = {"model.embed_tokens.weight": new(vocab, WIDTH), "model.norm.weight": new(WIDTH)}
    if architecture != "qwen2":
        found["lm_head.weight"] = new(vocab, WIDTH)
    for layer in range(LAYERS):
        for name, rows in {"q": WIDTH, "k": KV_HEADS * HEAD_DIM, "v": KV_HEADS * HEAD_DIM, "o": WIDTH}.items():
            found[f"model.layers.{layer}.self_attn.{name}_proj.weight"] = new(rows, WIDTH)
            if architecture == "qwen2" and name != "o":
                found[f"model.layers.{layer}.self_attn.{name}_proj.bias"] = new(rows)
            if architecture == "qwen3" and name in "qk":
                found[f"model.layers.{layer}.self_attn.{name}_norm.weight"] = new(HEAD_DIM)
        for name, shape in {"gate": (MLP, WIDTH), "up": (MLP, WIDTH), "down": (WIDTH, MLP)}.items():
            found[f"model.layers.{layer}.mlp.{name}_proj.weight"] = new(*shape)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[f"model.layers.{layer}.{name}.weight"] = new(WIDTH)
    return found


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name: str) -> str:
    parts = name.split(".")
    block = ""
    if parts[1] == "layers":
        block, parts = f"blk.{parts[2]}.", parts[3:]
    return f"{block}{GGUF_NAMES['.'.join(parts[:-1])]}.{parts[-1]}"


def write_gguf(
    path: Path,
    architecture: str = "llama",
    pre: str = "smollm",
    template: str = TEMPLATE,
    extra: Weights | None = None,
    keys: dict[str, Any] | None = None,
) -> Weights:
    """A GGUF as llama.cpp's converter writes it: Q/K rows interleaved for llama. `extra` tensors have GGUF names,
    `keys` are added to its metadata."""
    writer = GGUFWriter(path, architecture)
    add: dict[type, Any] = {
        bool: writer.add_bool,
        int: writer.add_uint32,
        float: writer.add_float32,
        str: writer.add_string,
        list: writer.add_array,
    }
    for key, value in (keys or {}).items():
        add[type(value)](key, value)
    add_tokenizer(writer, pre, template)
    for name, value in (extra or {}).items():
        writer.add_tensor(name, value)
    return write_model(writer, architecture)


def add_tokenizer(writer: GGUFWriter, pre: str = "smollm", template: str = TEMPLATE) -> None:
    """A vocabulary of bytes and a few merges."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocabulary())
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(vocabulary()) - 3))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(template)


def write_model(writer: GGUFWriter, architecture: str, vocab: int = 0) -> Weights:
    """Ends a file with the sizes and the weights of a model, whose tables have `vocab` rows; returns the weights."""
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    found = weights(architecture, vocab)
    for name, value in found.items():
        if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            value = value.reshape(-1, 2, HEAD_DIM // 2, WIDTH).swapaxes(1, 2).reshape(value.shape)
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return found


def write_quantized(path: Path, kind: GGMLQuantizationType) -> npt.NDArray[np.float32]:
    """A GGUF with the one tensor `t` [4, 256] in the given type; returns the values before quantizing."""
    values = np.random.default_rng(1).standard_normal((4, 256), dtype=np.float32)
    writer = GGUFWriter(path, "llama")
    writer.add_tensor("t", quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values


CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": WIDTH,
    "intermediate_size": MLP,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 128,
    "vocab_size": 266,
    "eos_token_id": 2,
}


def write_folder(folder: Path, **config: Any) -> Path:
    """A Hugging Face folder; `config` overrides fields of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights("llama"), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    vocab = {token: index for index, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[(a, b) for a, b in (m.split(" ") for m in MERGES)]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(vocabulary()[:3])
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>", "chat_template": TEMPLATE}))
    return folder
