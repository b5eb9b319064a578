"""Ids look up rows of a table: the lookup, rows that are moved and swapped, who lives near, arrows of sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame
from llm_holes.engine.numbers import plural
from llm_holes.engine.surgery.vectors import TABLE
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.words import Word, word
from llm_holes.lessons.tier1.embeddings.lookup import lookup_cost, lookup_differs, table_picture
from llm_holes.lessons.tier1.embeddings.moved_rows import Changed, Way, before_and_after, way_picture
from llm_holes.lessons.tier1.embeddings.sentences import nearness, nearness_picture
from llm_holes.lessons.tier1.embeddings.word_map import nearest_rows, word_map

MAX_WORDS = 200
LISTED = 10


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    ids = engine.encode(p["text"])
    looked_up, other = word(engine, p["word"], "word"), word(engine, p["word_b"], "word_b")
    names = p["words"].replace(",", " ").split()
    if len(names) > MAX_WORDS:
        raise InputError(f"the map has {len(names)} words", f"Give at most {MAX_WORDS}.")
    report = Report()
    _look_up(engine, report, ids)
    yield report.frame(0.1)
    _move(engine, report, ids, looked_up.ids[0], other.ids[0])
    yield report.frame(0.5)
    _change(engine, report, ids, looked_up.ids[0], other.ids[0], None if p["swap"] else p["mix"])
    _look_around(engine, report, names, looked_up)
    yield report.frame(0.8)
    _compare(engine, report, p["sentence"], p["same"], p["alike"])
    report.cost = lookup_cost(engine, ids)
    yield report.frame()


def _look_up(engine: Engine, report: Report, ids: list[int]) -> None:
    table = engine.model.weights[TABLE]
    by_product, by_model = lookup_differs(engine, ids)
    report.measure(
        table_rows=table.shape[0],
        table_columns=table.shape[1],
        table_share_of_parameters=table.numel() / engine.info.parameters,
        rows_read=len(set(ids)),
        lookup_equals_onehot_max_abs_diff=by_product,
        lookup_equals_model_max_abs_diff=by_model,
    )
    report.show(the_lookup=table_picture(engine, ids))
    report.say(f"{plural(len(ids), 'token')}: {plural(len(set(ids)), 'row')} of {table.shape[0]:,} copied.")


def _move(engine: Engine, report: Report, ids: list[int], a: int, b: int) -> None:
    way = Way.walked(engine, ids, a, b)
    report.measure(
        p_along_the_way=list(way.p_first),
        p_last_along_the_way=list(way.p_last),
        tipping_share=way.tipping_share,
        way_shape=way.shape,
        answer_all_the_way=engine.token_text(way.last),
        word_in_text=a in ids,
    )
    report.show_also(the_whole_way=way_picture(engine, way, a, b))


def _change(engine: Engine, report: Report, ids: list[int], a: int, b: int, share: float | None) -> None:
    changed = Changed.of(engine, ids, a, b, share)
    first, second = int(changed.before.argmax()), int(changed.after.argmax())
    report.measure(
        next_token=engine.token_text(first),
        p_next=float(changed.before[first]),
        next_token_changed=engine.token_text(second),
        p_next_changed=float(changed.after[second]),
        p_next_after_change=float(changed.after[first]),
        undo_bit_identical=changed.undone,
    )
    report.show_also(next_token=before_and_after(engine, changed))


def _look_around(engine: Engine, report: Report, names: list[str], looked_up: Word) -> None:
    near = nearest_rows(engine, looked_up.ids[0])
    share, drawn = word_map(engine, names, looked_up)
    report.measure(
        token=engine.token_text(looked_up.ids[0]),
        pieces=len(looked_up.ids),
        neighbours=list(near.labels[:LISTED]),
        nearest=near.labels[0],
        nearest_cosine=near.values[0],
        map_share_of_variance=share,
    )
    report.show_also(nearest_rows=near, map_of_words=drawn)


def _compare(engine: Engine, report: Report, sentence: str, same: str, alike: str) -> None:
    found = nearness(engine, sentence, same, alike)
    report.measure(
        found_by=found.found_by,
        rows_find_it=found.finds(0),
        states_find_it=found.finds(found.middle),
        rows_cosine_same=found.same[0],
        rows_cosine_alike=found.alike[0],
        states_cosine_same=found.same[found.middle],
        states_cosine_alike=found.alike[found.middle],
    )
    report.show_also(rows_and_states=nearness_picture(found, sentence, same, alike))
