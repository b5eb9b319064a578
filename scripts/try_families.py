"""Runs every lesson's defaults on a tiny random model of each family, with the default model's tokenizer.

`python scripts/try_families.py [VARIANT]… [--lesson ID]…`; variants are those of tests/support/tiny_models.py.
Prints what failed and ends with 1 if anything did.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

from llm_holes.engine.checkpoint import store
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from tests.support.tiny_families import FAMILIES, loaded, with_tokenizer, write_family

VOCABULARY, CONTEXT = 49_152, 8_192


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", default=FAMILIES)
    parser.add_argument("--lesson", action="append")
    asked = parser.parse_args()
    default = Path(store.locate(None, lambda status: None).folder)
    failed = 0
    for variant in asked.variants:
        with TemporaryDirectory() as place:
            folder = write_family(Path(place) / variant, variant, CONTEXT, vocab_size=VOCABULARY)
            engine = loaded(with_tokenizer(folder, default))
            for lesson in catalog.load().lessons.values():
                if asked.lesson and lesson.id not in asked.lesson:
                    continue
                try:
                    for _ in catalog.experiment(lesson).run(engine, validated(lesson, {}, engine.info)):
                        pass
                except (InputError, ModelError) as error:
                    print(f"{variant:14} {lesson.id:24} says: {error} {error.hint}", flush=True)
                except Exception:
                    failed += 1
                    print(f"{variant:14} {lesson.id:24} FAILED\n{traceback.format_exc()}", flush=True)
    print(f"{failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
