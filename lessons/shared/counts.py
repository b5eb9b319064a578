"""What a pass through the model reads and how many sums it does: counted, not timed."""

from __future__ import annotations

from llm_holes.engine.device import DTYPES
from llm_holes.engine.engine import Engine
from llm_holes.engine.model.families import MLP

EXPERTS = tuple(f"{part}.weight" for part in MLP)


def element_bytes(engine: Engine) -> int:
    """Bytes of one number of a matrix, as the model keeps it."""
    return DTYPES[engine.info.dtype].itemsize


def weight_bytes(engine: Engine) -> int:
    """Bytes of the matrices one pass reads whole; of an embedding table that is not also the output, it reads a row,
    and of several experts those that one token is given."""
    config = engine.model.config
    table = "" if config.tied_embeddings else "model.embed_tokens.weight"
    read = {name: w.numel() for name, w in engine.model.weights.items() if w.dim() == 2 and name != table}
    if config.router:
        experts, chosen = config.router.experts, config.router.chosen
        read = {name: n * chosen // experts if name.endswith(EXPERTS) else n for name, n in read.items()}
    return element_bytes(engine) * sum(read.values())


def cache_bytes(engine: Engine, tokens: int) -> int:
    """Bytes of keys and values that `tokens` leave behind."""
    return tokens * engine.model.config.kv_bytes_per_token()


def flops(engine: Engine, tokens: int, context: float, outputs: int = 1) -> float:
    """Additions and multiplications of a pass over `tokens`, each looking at `context` others, with logits for as many
    as `outputs`."""
    config = engine.model.config
    head = config.d_vocab * config.d_model
    layers = weight_bytes(engine) // element_bytes(engine) - head
    attention = 4 * config.n_layers * config.n_heads * config.d_head * context
    return tokens * (2 * layers + attention) + 2 * head * outputs
