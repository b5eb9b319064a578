"""How many examples the long tests look at: few in the suite, as many as LLM_HOLES_EXAMPLES says with `just soak`."""

from __future__ import annotations

import os


def examples(few: int) -> int:
    return int(os.environ.get("LLM_HOLES_EXAMPLES", few))
