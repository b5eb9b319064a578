"""What an experiment is given: one loaded model with its tokenizer, and the few things every lesson does with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from llm_holes.engine.checkpoint.store import ModelFiles
from llm_holes.engine.checkpoint.validate import check
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.frames import Token
from llm_holes.engine.generation.generate import Limits, Step, generate
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.engine.model.config import Config, Sizes, read_config
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.surgery.operations import Surgery, operated
from llm_holes.engine.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True)
class Engine:
    model: Decoder
    tokenizer: Tokenizer
    files: ModelFiles
    info: ModelInfo

    @classmethod
    def load(cls, files: ModelFiles, threads: int) -> Engine:
        """Maps the weights and reads the tokenizer. Raises ModelError."""
        torch.set_num_threads(threads)
        folder = Path(files.folder)
        config = read_config(folder)
        weights = load_weights(folder)
        check_shapes(config, weights)
        model = Decoder(config, weights)
        return cls(model, Tokenizer.load(folder), files, _info(files, config, weights, threads))

    def cancellable(self, is_cancelled: Callable[[], bool]) -> Engine:
        return replace(self, model=self.model.cancellable(is_cancelled))

    def operated(self, surgery: Surgery) -> Engine:
        """This engine with a changed model; the weights of the original are shared and untouched."""
        return replace(self, model=operated(self.model, surgery))

    def fits(self, ids: Sequence[int], new_tokens: int = 0) -> list[int]:
        """The ids, if they and the tokens to come fit the context. Raises InputError with the count and the limit."""
        if not ids:
            raise InputError("there is no text to run on", "Type at least one character.")
        limit = self.model.config.n_ctx
        if len(ids) + new_tokens > limit:
            room = f" and room for {new_tokens:,} more" if new_tokens else ""
            raise InputError(
                f"the text has {len(ids):,} tokens{room}; this model's context holds {limit:,}",
                f"Shorten the text by about {len(ids) + new_tokens - limit:,} tokens.",
            )
        return list(ids)

    def encode(self, text: str, new_tokens: int = 0) -> list[int]:
        return self.fits(self.tokenizer.encode(text), new_tokens)

    def chat(self, message: str, new_tokens: int = 0) -> list[int]:
        """The ids of one user message in the model's chat template, ready for the answer."""
        return self.fits(self.tokenizer.chat_ids([{"role": "user", "content": message}]), new_tokens)

    def logits(self, ids: Sequence[int], keep: int | None = None) -> Tensor:
        """Logits [pos, d_vocab] of one text, or of its last `keep` positions."""
        return self.model.forward(torch.tensor([list(ids)]), logits_to_keep=keep).logits[0]

    def generate(self, prompt: Sequence[int], params: SamplingParams, limits: Limits) -> Iterator[Step]:
        return generate(self.model, self.tokenizer, prompt, params, limits)

    def write(self, prompt: Sequence[int], max_new_tokens: int) -> str:
        """What the model writes after `prompt` when it always takes the likeliest token."""
        return "".join(step.text for step in self.generate(prompt, SamplingParams(), Limits(max_new_tokens)))

    def tokens(self, ids: Sequence[int], notes: Sequence[str] = ()) -> tuple[Token, ...]:
        """The ids as tokens to show."""
        notes = notes or [""] * len(ids)
        return tuple(Token(i, self.tokenizer.token_bytes(i), note) for i, note in zip(ids, notes, strict=True))

    def token_text(self, token: int) -> str:
        return self.tokenizer.token_bytes(token).decode("utf-8", "replace")


def load_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of the checkpoint by name, mapped from disk where they are fp32 already. Raises ModelError."""
    weights: dict[str, Tensor] = {}
    for path in check(folder).weights:
        try:
            with safe_open(path, framework="pt") as file:
                weights.update((name, file.get_tensor(name).float()) for name in file.keys())  # noqa: SIM118
        except Exception as error:  # safetensors raises its own, undeclared errors
            raise ModelError(f"{path} cannot be read: {error}", "Fetch the model again or give another one.") from None
    return weights


def check_shapes(config: Config, weights: dict[str, Tensor]) -> None:
    """Raises ModelError unless every matrix the decoder reads is there in the size the config says."""
    q, kv = config.n_heads * config.d_head, config.n_kv_heads * config.d_head
    table = (config.d_vocab, config.d_model)
    expected: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": table, "model.norm.weight": (config.d_model,)}
    if not config.tied_embeddings:
        expected["lm_head.weight"] = table
    for layer in range(config.n_layers):
        prefix = f"model.layers.{layer}."
        expected |= {
            f"{prefix}input_layernorm.weight": (config.d_model,),
            f"{prefix}post_attention_layernorm.weight": (config.d_model,),
            f"{prefix}self_attn.q_proj.weight": (q, config.d_model),
            f"{prefix}self_attn.k_proj.weight": (kv, config.d_model),
            f"{prefix}self_attn.v_proj.weight": (kv, config.d_model),
            f"{prefix}self_attn.o_proj.weight": (config.d_model, q),
            f"{prefix}mlp.gate_proj.weight": (config.d_mlp, config.d_model),
            f"{prefix}mlp.up_proj.weight": (config.d_mlp, config.d_model),
            f"{prefix}mlp.down_proj.weight": (config.d_model, config.d_mlp),
        }
    for name, shape in expected.items():
        found = tuple(weights[name].shape) if name in weights else None
        if found != shape:
            raise ModelError(f"{name} is {found or 'missing'}, config.json says {shape}", "Fetch the model again.")


def _info(files: ModelFiles, config: Config, weights: dict[str, Tensor], threads: int) -> ModelInfo:
    return ModelInfo(
        **{name: getattr(config, name) for name in Sizes.__struct_fields__},
        name=files.name,
        path=files.folder,
        sha256=files.sha256,
        dtype="fp32",
        threads=threads,
        parameters=sum(w.numel() for w in weights.values()),
        weight_format=files.weight_format,
    )
