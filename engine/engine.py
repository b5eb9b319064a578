"""What an experiment is given: one loaded model with its tokenizer, and the few things every lesson does with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from llm_holes.engine.checkpoint.installed import ModelFiles
from llm_holes.engine.checkpoint.validate import check
from llm_holes.engine.device import Place
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Token
from llm_holes.engine.generation.generate import Limits, Step, generate
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.engine.memory import refuse_too_large
from llm_holes.engine.model.config import Config, read_config
from llm_holes.engine.model.decoder import Decoder
from llm_holes.engine.model.sizes import Sizes
from llm_holes.engine.surgery.operations import Surgery, operated
from llm_holes.engine.tokenizer.tokenizer import Tokenizer
from llm_holes.engine.weights import ON_CPU, load_weights, placed, rearranged, tied
from llm_holes.engine.work import Tell, untold


@dataclass(frozen=True)
class Engine:
    model: Decoder
    tokenizer: Tokenizer
    files: ModelFiles
    info: ModelInfo

    @classmethod
    def load(cls, files: ModelFiles, threads: int, place: Place = ON_CPU) -> Engine:
        """Maps the weights, or copies them to `place`, and reads the tokenizer. Raises ModelError, before anything is
        loaded where memory is too small."""
        torch.set_num_threads(threads)
        folder = Path(files.folder)
        config = read_config(folder)
        checkpoint = check(folder)
        refuse_too_large(files.name, config, checkpoint, place)
        config, loaded = tied(config, rearranged(config, load_weights(checkpoint, place)))
        weights, packed = placed(loaded, place)
        model = Decoder(config, weights, packed)
        info = _info(files, config, loaded, threads, place)
        return cls(model, Tokenizer.load(folder, config.d_vocab), files, info)

    def cancellable(self, is_cancelled: Callable[[], bool], tell: Tell = untold) -> Engine:
        return replace(self, model=self.model.cancellable(is_cancelled, tell))

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
        """The ids of a text the model reads from its start, with the BOS where its tokenizer adds one."""
        return self.fits(self.tokenizer.encode_whole(text), new_tokens) if text else self.fits([])

    def chat(self, message: str, new_tokens: int = 0) -> list[int]:
        """The ids of one user message in the model's chat template, ready for the answer; without a template, those of
        the bare text."""
        if not self.tokenizer.has_chat:
            self.tokenizer.chat([])  # says so
            return self.encode(message, new_tokens)
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


def _info(files: ModelFiles, config: Config, weights: dict[str, Tensor], threads: int, place: Place) -> ModelInfo:
    return ModelInfo(
        **{name: getattr(config, name) for name in Sizes.__struct_fields__},
        name=files.name,
        path=files.folder,
        sha256=files.sha256,
        dtype=place.dtype,
        threads=threads,
        device=str(place.device),
        parameters=sum(w.numel() for w in weights.values()),
        weight_format=files.weight_format.replace("fp32 in memory", f"{place.dtype} in memory"),
    )
