"""What a lesson cannot show on a model of another kind than the default one, in a sentence. Torch-free."""

from __future__ import annotations

from llm_holes.engine.model.config import Config

OFFER = "The default model has it: leave out --model."


def about(lesson: str, config: Config) -> list[str]:
    """The sentences for this lesson, none where the model shows all of it."""
    said = []
    if lesson == "mqa-gqa" and config.kv_group == 1:
        said.append(f"Each head of this model has keys and values of its own: there is no sharing to undo. {OFFER}")
    if lesson in ("attention", "dot-product") and config.learned_places:
        said.append(
            "This model adds a learned vector for each place to the embedding: no query or key is turned, and what is "
            f"said of turns by place has no effect. {OFFER}"
        )
    if lesson in ("ffn", "layer-transforms", "weights") and not config.gated:
        said.append(
            "The FFN of this model has no gate: the nonlinearity is on its one inner product, and what stands for the "
            f"other is 1. {OFFER}"
        )
    if lesson in ("ffn", "layer-transforms") and config.act != "silu":
        bend = {"gelu": "GELU", "gelu_tanh": "GELU", "relu": "ReLU"}[config.act]
        said.append(
            f"This model bends with {bend} where the text says SiLU: {bend} in its place changes little or nothing. "
            f"{OFFER}"
        )
    if lesson in ("ffn", "layer-transforms") and config.router:
        said.append(
            f"The FFN of this model is {config.router.experts} experts, of which each token gets "
            f"{config.router.chosen}: they are shown as one FFN, in which the neurons of the others are 0."
        )
    return said
