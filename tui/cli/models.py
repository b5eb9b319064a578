"""`llm-holes models`: what is on this machine, where it came from, and what of it would run."""

from __future__ import annotations

from llm_holes.engine.checkpoint import installed, listing
from llm_holes.engine.numbers import size
from llm_holes.tui.cli.json import dumps
from llm_holes.tui.draw.sanitize import clean


def main(as_json: bool) -> int:
    models = listing.models()
    if as_json:
        print(dumps(models))
        return 0
    for model in models:
        outcome = f"would not run: {model.problem}" if model.problem else "would run"
        print(clean(f"{model.name:<28}{size(model.bytes):>11}  {model.source}"))
        print(clean(f"    {model.folder}"))
        print(clean(f"    {outcome}"))
    if not models:
        where = clean(str(installed.root()))
        print(f"No model yet in {where}. The first start fetches the default one, {installed.DEFAULT}.")
    return 0
