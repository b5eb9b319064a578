"""One sentence in six languages, to be counted in tokens: the first of the Universal Declaration of Human Rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llm_holes.engine.frames import Bars

if TYPE_CHECKING:
    from llm_holes.engine.engine import Engine

SENTENCES: Mapping[str, str] = {
    "English": "All human beings are born free and equal in dignity and rights.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "Spanish": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "Chinese": "人人生而自由,在尊严和权利上一律平等。",
    "Russian": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "Hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
}


def prices(engine: Engine) -> dict[str, int]:
    """Tokens of the sentence in each language."""
    return {language: len(engine.tokenizer.encode(sentence)) for language, sentence in SENTENCES.items()}


def price_bars(found: Mapping[str, int]) -> Bars:
    return Bars(
        "“All human beings are born free and equal …” in six languages",
        tuple(found),
        tuple(map(float, found.values())),
        "tokens",
    )
