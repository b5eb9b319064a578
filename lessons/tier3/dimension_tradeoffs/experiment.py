"""Many features in few numbers, in a toy that is trained on the spot; then how much width this model's matrices use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Frame
from llm_holes.engine.measure import perplexity
from llm_holes.engine.numbers import percent, plural
from llm_holes.engine.surgery.low_rank import Directions, crowding, directions
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.untouched import Untouched
from llm_holes.lessons.shared.words import output_table
from llm_holes.lessons.tier3.dimension_tradeoffs import fewer, shared_offset, toy
from llm_holes.lessons.tier3.dimension_tradeoffs.angles import how_crowded
from llm_holes.lessons.tier3.dimension_tradeoffs.widths import costs


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    report, width = Report(), engine.model.config.d_model
    for squeezed in toy.trained(p["features"], p["presence"], p["seed"], engine.model.is_cancelled):
        report.show(arrows=toy.on_a_plane(squeezed.best))
        report.say(f"{plural(p['features'], 'feature')} in two numbers, being trained.")
        yield report.frame(0.1)
    report.measure(toy.measured_arrows(squeezed.best))
    report.say(f"{plural(p['features'], 'feature')} in two numbers, each there in {percent(p['presence'])} of texts.")

    mean, largest = crowding(width, p["vectors"], p["seed"])
    report.measure(crowding_mean_cosine=mean, crowding_largest_cosine=largest)
    report.show_also(
        how_crowded=how_crowded(width, p["vectors"], p["seed"]),
        published_models=_real(),
    )
    yield report.frame(0.3)

    ids, text = passage_ids(engine, p["kl_tokens"]), engine.encode(p["text"])
    untouched = Untouched.of(engine, text)
    final, intact = shared_offset.final_vectors(engine, ids)
    names = fewer.chosen(engine, p["part"], p["layer"])
    found = directions(engine.model, names)
    small = max(min(engine.model.weights[name].shape) for name in names)
    rank = min(p["rank"], small)
    report.measure(fewer.counted(engine, names, rank))
    report.measure(rank=rank, passage_tokens=len(ids), perplexity_intact=perplexity(intact, torch.tensor(ids)))
    report.measure(_after_the_text(engine, found, rank, text))
    still, points = report.views, dict[int, fewer.Left]()
    for r, left in fewer.left_with(engine, found, fewer.ranks(rank, small), ids, intact):
        points[r] = left
        if r == rank:
            report.measure(left.measured())
            report.say(f"The {plural(rank, 'strongest direction')} of {small:,}: {percent(left.energy)} of the energy.")
        report.show(*still)
        report.show_also(
            fewer_directions=fewer.energy_and_words(points, rank, small), the_saving=fewer.bill(report.measured)
        )
        yield report.frame(0.4 + 0.1 * len(points))

    table = output_table(engine.model)
    own = found[names[0]] if p["part"] == "embedding table" else Directions.of(table)
    offset = shared_offset.offset_of(table)
    last, _ = shared_offset.final_vectors(engine, text)
    weak, curve = shared_offset.where_it_lies(own, last[-1], engine.token_text(text[-1]))
    report.measure(shared_offset.without(engine, own, final, intact))
    report.measure(
        energy_in_shared_direction=offset.along,
        energy_in_offset=offset.energy,
        weakest_directions=shared_offset.weakest(own),
        final_in_weakest_share=weak,
        undo_bit_identical=untouched.holds(),
    )
    report.show_also(the_offset=curve)
    yield report.frame()


def _real() -> Bars:
    """One layer of each published model, with its width."""
    labels = tuple(f"{width:,} wide: {name}" for name, width, *_ in costs())
    return Bars("weights of one layer, in millions", labels, tuple(layer / 1e6 for _, _, _, layer, _ in costs()))


def _after_the_text(engine: Engine, found: dict[str, Directions], rank: int, ids: list[int]) -> dict[str, Any]:
    """The likeliest token after the learner's text, and its probability before and after."""
    changed = engine.operated([fewer.reduced(found, rank)])
    before, after = (e.logits(ids, 1)[0].softmax(-1) for e in (engine, changed))
    following = int(before.argmax())
    return {
        "next_token": engine.token_text(following),
        "p_next": float(before[following]),
        "p_next_reduced": float(after[following]),
        "next_token_reduced": engine.token_text(int(after.argmax())),
    }
