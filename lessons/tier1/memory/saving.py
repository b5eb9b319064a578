"""Which messages would be kept: the model is shown four decisions and continues with a fifth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars
from llm_holes.engine.generation.continuations import prefill

EXAMPLES = """\
Message: My name is Ana.
Keep: yes
Message: What time is it?
Keep: no
Message: I am a vegetarian.
Keep: yes
Message: Tell me a joke.
Keep: no
Message:"""
ALLERGY, WEATHER, OK = "I am allergic to nuts.", "It is raining.", "Ok."
SUM, ASKED = "Two plus two is four.", "How tall is Everest?"
OFFERED = (ALLERGY, WEATHER, OK, SUM, ASKED, "Write me a poem.")


def chances_to_keep(engine: Engine, messages: Sequence[str]) -> dict[str, float]:
    """By message, how much of what the model gives to yes and no goes to yes."""
    encode = engine.tokenizer.encode
    yes, no = encode(" yes")[0], encode(" no")[0]
    start = prefill(engine.model, engine.encode(EXAMPLES))
    found: dict[str, float] = {}
    for message in messages:
        ids = encode(f" {' '.join(message.split())}\nKeep:")
        cache = start.copies(1, len(ids))
        logits = engine.model.forward(torch.tensor([ids]), cache, logits_to_keep=1).logits[0, -1]
        found[message] = float(torch.sigmoid(logits[yes] - logits[no]))
    return found


def by_form(found: Mapping[str, float], told: str, question: str) -> bool:
    """Whether statements would be kept whatever they say, and questions not; yours are among them."""
    statements, questions = (ALLERGY, WEATHER, SUM, told), (ASKED, question)
    return min(found[text] for text in statements) > 0.5 > max(found[text] for text in questions)


def bars(found: dict[str, float]) -> Bars:
    return Bars("would it be kept? P(yes), of yes and no", tuple(found), tuple(found.values()), range=(0, 1))
