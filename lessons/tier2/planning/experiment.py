"""The same errand with four kinds of help around the model, several seeds each: who keeps to the plan?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Bars, Frame, Scalar, Table, View
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.prompt import ids_of, pieces
from llm_holes.engine.harness.tools import table_of
from llm_holes.engine.measure import wilson
from llm_holes.engine.numbers import figure, percent, plural
from llm_holes.lessons.shared.harness_views import Record
from llm_holes.lessons.shared.passage import passage_ids
from llm_holes.lessons.shared.report import keyed
from llm_holes.lessons.tier2.planning.lookup_task import VARIANTS, Attempt, Errand, attention_on_plan, errand


@dataclass
class Results:
    """All attempts by variant, and for the first of each the attention on its plan."""

    task: Errand
    attempts: dict[str, list[Attempt]] = field(default_factory=lambda: {variant: [] for variant in VARIANTS})
    attention: dict[str, float] = field(default_factory=dict)

    def finished(self, variant: str) -> int:
        return sum(one.done == len(self.task.plan) for one in self.attempts[variant])

    def mean_done(self, variant: str) -> float:
        found = self.attempts[variant]
        return sum(one.done for one in found) / max(len(found), 1)


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    noise = engine.tokenizer.decode(passage_ids(engine, p["noise"]))
    task = errand(p["text"], p["plan"], table_of(p["table"].replace(";", "\n")), noise)
    results, record, model = Results(task), Record(engine), PrefixCachedModel(engine.model)
    shown = p["variant"]
    order = [shown, *(variant for variant in VARIANTS if variant != shown)]
    for done, variant in enumerate(order):
        engine.fits(ids_of(pieces(engine.tokenizer, Attempt(task, variant).messages())), 64)
        for n in range(p["trials"]):
            attempt = Attempt(task, variant)
            params = SamplingParams(temperature=p["temperature"], seed=p["seed"] + 1000 * n)
            for event in attempt.run(engine, model, params):
                if variant == shown and n == 0:
                    record.add(event)
                    yield _frame(results, record, attempt, shown, 0.02)
            results.attempts[variant].append(attempt)
            if n == 0:
                results.attention[variant] = attention_on_plan(engine, model, attempt)
            progress = (done + (n + 1) / p["trials"]) / len(order)
            yield _frame(results, record, results.attempts[shown][0], shown, min(progress, 0.99))
    yield _frame(results, record, results.attempts[shown][0], shown, None)


def _frame(results: Results, record: Record, first: Attempt, shown: str, progress: float | None) -> Frame:
    named: dict[str, View] = {
        "steps done": _steps(results),
        "turn by turn": record.transcript(f"the first attempt with {_named(shown)}"),
        "who looks at it": _table(results),
    }
    return Frame(_caption(results, first, shown), keyed(named), _measured(results, record, first, shown), progress)


def _steps(results: Results) -> Bars:
    total, ran = len(results.task.plan), [variant for variant in VARIANTS if results.attempts[variant]]
    means = tuple(results.mean_done(variant) for variant in ran)
    return Bars(f"steps done on average, of {total}", tuple(ran), means, range=(0, total))


def _table(results: Results) -> Table:
    total = len(results.task.plan)
    rows: list[tuple[Scalar, ...]] = []
    for variant, found in results.attempts.items():
        if not found:
            continue
        finished, low, high = results.finished(variant), *wilson(results.finished(variant), len(found))
        first = found[0]
        rows.append(
            (
                variant,
                f"{finished} of {len(found)}",
                f"{percent(low)} to {percent(high)}",
                f"{figure(results.mean_done(variant))} of {total}",
                percent(results.attention.get(variant, 0.0)) if first.marked else "–",
                first.chosen,
                len(first.context) - first.chosen,
            )
        )
    columns = ("help", "all done", "true rate (95 %)", "steps", "looks at plan", "model chose", "given or forced")
    return Table("who keeps to the plan (tokens of the first attempt)", columns, tuple(rows))


def _named(variant: str) -> str:
    return "no plan" if variant == "none" else f"the {variant}"


def _caption(results: Results, first: Attempt, shown: str) -> str:
    total = len(results.task.plan)
    return f"With {_named(shown)}: {first.done} of {plural(total, 'step')} in the first attempt."


def _measured(results: Results, record: Record, first: Attempt, shown: str) -> dict[str, Any]:
    ran = {variant: found for variant, found in results.attempts.items() if found}
    return {
        "steps_completed": first.done,
        "steps_total": len(results.task.plan),
        "called": ", ".join(first.called),
        "success_by_variant": {variant: results.finished(variant) / len(found) for variant, found in ran.items()},
        "steps_by_variant": {variant: results.mean_done(variant) for variant in ran},
        "steps_with_plan": results.mean_done("plan"),
        "steps_with_checklist": results.mean_done("checklist"),
        "gain_by_checklist": results.mean_done("checklist") - results.mean_done("plan"),
        "plan_attention_mass": results.attention.get(shown, 0.0),
        "attention_by_variant": dict(results.attention),
        "context_tokens": len(first.context),
        "tokens_by_model": first.chosen,
        "tokens_by_grammar": first.forced,
        "tokens_by_software": len(first.context) - first.chosen - first.forced,
        "trials": len(results.attempts[shown]),
    }
