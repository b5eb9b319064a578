"""One sum in four places: numbers typed by hand, tokens, a query with keys, the final vector with the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame
from llm_holes.engine.numbers import figure
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.typed import two_vectors
from llm_holes.lessons.shared.words import embedding_table, word
from llm_holes.lessons.tier2.dot_product.by_hand import Pair, dot, measured_by_hand, shadow, terms, turning
from llm_holes.lessons.tier2.dot_product.counts import cost_of_a_pass, growing, products
from llm_holes.lessons.tier2.dot_product.neighbours import neighbours
from llm_holes.lessons.tier2.dot_product.query_and_keys import query_and_keys
from llm_holes.lessons.tier2.dot_product.rows import vector_and_rows


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    pair = Pair.of(*two_vectors(p["vectors"])).turned(p["turn"])
    ids = engine.encode(" ".join([p["text"]] * p["repeat"]))
    report = Report()
    report.measure(measured_by_hand(pair))
    products_one_by_one, with_sums = terms(pair.a, pair.b)
    report.show(shadow=shadow(pair), turning=turning(pair), the_terms=products_one_by_one)
    report.say(f"By hand: {figure(dot(pair.a, pair.b))}.")
    yield report.frame(0.1)

    found, beside, table = neighbours(
        engine, embedding_table(engine), *(word(engine, p[n], n) for n in ("word", "word_b"))
    )
    report.measure(found)
    report.show_also(neighbours=beside)
    tables = {"term_by_term": with_sums, "nearest": table}
    yield report.frame(0.4)

    found, beside, tables["scores"] = query_and_keys(engine, ids, p["layer"], p["head"])
    report.measure(found)
    report.show_also(query_and_keys=beside)
    yield report.frame(0.6)

    found, beside, tables["logits"] = vector_and_rows(engine, ids, p["row_scale"])
    report.measure(found)
    report.show_also(vector_and_rows=beside)
    yield report.frame(0.8)

    report.say(f"By hand {figure(dot(pair.a, pair.b))}. Next after the text: {spelt(found['winner'])}.")
    found, report.cost = cost_of_a_pass(engine, ids)
    report.measure(found | products(engine, len(ids)))
    report.show_also(products=growing(engine, len(ids)), **tables)
    yield report.frame()
