"""What both models write, token by token in turn, and how long their tokens take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff
from llm_holes.engine.generation.generate import Limits, Step
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.measure import Timing
from llm_holes.engine.surgery.operations import PackedWeights

CLEARLY = 0.9


@dataclass(frozen=True, slots=True)
class Written:
    """Both answers, and the times of the tokens of each but the first, whose step reads the prompt."""

    texts: Diff
    intact: Timing
    rounded: Timing


def both(engine: Engine, writer: Engine, prompt: Sequence[int], new_tokens: int) -> Written:
    """The intact engine and `writer` in turn, so that whatever else is going on hits both."""
    params, limits = SamplingParams(logit_bias=_no_end(engine)), Limits(new_tokens)
    pairs = list(zip(engine.generate(prompt, params, limits), writer.generate(prompt, params, limits), strict=True))
    intact, rounded = ([pair[i] for pair in pairs] for i in (0, 1))
    texts = Diff("the answer (the end is forbidden)", _text(intact), _text(rounded), "intact", "rounded")
    return Written(texts, _timing(intact), _timing(rounded))


def times(written: Written, packed: PackedWeights | None) -> dict[str, Any]:
    """The fastest of each, and whether one is clearly faster: its median by a tenth than the other's fastest."""
    intact, rounded = written.intact, written.rounded
    apart = rounded.median < CLEARLY * intact.fastest or intact.median < CLEARLY * rounded.fastest
    return {
        "decode_ms_intact": intact.fastest,
        "decode_ms_quantized": rounded.fastest,
        "times_apart": apart,
        "quantized_kernel": "no kernel, fp32" if packed is None else f"int{packed.bits}",
    }


def _text(steps: Sequence[Step]) -> str:
    return "".join(step.text for step in steps)


def _timing(steps: Sequence[Step]) -> Timing:
    return Timing.of([step.ms for step in steps[1:]])


def _no_end(engine: Engine) -> dict[int, float]:
    """Both models write the same number of tokens, so that their times compare."""
    return dict.fromkeys(engine.tokenizer.eos_ids, float("-inf"))
