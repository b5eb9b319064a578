"""Steps between words: are they parallel, do they find the answer, and what happens when one is added while writing?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.tier2.directions.analogies import ANALOGIES
from llm_holes.lessons.tier2.directions.court import accuracies, all_of_them, answered, share_bars, tried
from llm_holes.lessons.tier2.directions.parallel import parallel_bars, parallel_facts, parallelogram
from llm_holes.lessons.tier2.directions.question import question
from llm_holes.lessons.tier2.directions.spaces import space
from llm_holes.lessons.tier2.directions.steering import steered, steering, steering_table, strengths


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    asked, prompt = question(p["question"]), engine.encode(p["text"], p["max_new_tokens"])
    report = Report()
    facts = parallel_facts(engine, p["relation"], p["pairs"])
    report.measure(facts)
    report.show(
        parallelogram=parallelogram(engine, p["relation"], p["pairs"]),
        how_parallel=parallel_bars(engine, p["relation"], facts),
    )
    report.say(f"Steps between words: {p['relation']}, {p['pairs']}.")
    yield report.frame(0.1)

    words = [text for line in ANALOGIES for text in line]
    where = space(engine, p["space"], [*words, *asked], p["layer"])
    answers, nearest = answered(where, asked, p["exclude"])
    verdicts = tried(where)
    found = accuracies(verdicts)
    report.measure(answers | found, candidates=where.count)
    report.show_also(nearest_words=nearest, right_answers=share_bars(verdicts, found))
    report.say_also(f"Asked: {asked.formula}, in the {p['space']}; expected {spelt(answers['expected'])}.")
    yield report.frame(0.3)

    step, before = steering(engine, p["layer"], p["steer_to"], p["steer_from"]), engine.logits(prompt, 1)
    texts = []
    for one in steered(engine, step, strengths(p["alpha"]), prompt, p["max_new_tokens"]):
        texts.append(one)
        yield report.frame(0.3 + 0.15 * len(texts))
    plain, own, most = texts[0], texts[min(1, len(texts) - 1)], max(texts, key=lambda one: abs(one.alpha))
    report.measure(
        alpha=p["alpha"],
        kl_nats=own.kl,
        changed_share=own.changed,
        alpha_most=most.alpha,
        changed_share_most=most.changed,
        steered_text_differs=own.text != plain.text,
        undo_bit_identical=torch.equal(engine.logits(prompt, 1), before),
    )
    table = steering_table(texts, p["steer_to"], p["steer_from"], p["layer"])
    report.show_also(steered_text=table, all_analogies=all_of_them(verdicts, p["space"]))
    yield report.frame()
