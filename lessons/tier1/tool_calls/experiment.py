"""One conversation through a real harness, free or held in a grammar, then the first answer again with many seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Scalar, Table
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.engine.harness import tools
from llm_holes.engine.harness.calls import Call
from llm_holes.engine.harness.loop import Bounds, Harness
from llm_holes.engine.harness.prefix_cached_model import PrefixCachedModel
from llm_holes.engine.harness.prompt import Message, ids_of, pieces, system_text
from llm_holes.engine.harness.speculative_verification import verify
from llm_holes.engine.measure import wilson
from llm_holes.engine.numbers import exact, percent, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.harness_views import Record
from llm_holes.lessons.shared.report import keyed
from llm_holes.lessons.shared.trials import Trial, trial

SANDBOX = Path(__file__).parent / "sandbox"
EXAMPLES = (
    ("What is 12 * 31?", "calculator", {"expression": "12 * 31"}, "372"),
    ("What is the price of a pear?", "lookup", {"key": "pear"}, "3"),
    ("How much is 58 + 27?", "calculator", {"expression": "58 + 27"}, "85"),
    ("What is the price of a plum?", "lookup", {"key": "plum"}, "2"),
)
MODES = {"free": False, "held in the grammar": True}
Trials = dict[str, list[Trial]]


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    engine.tokenizer.needs_chat()
    model = PrefixCachedModel(engine.model)
    harness = _harness(engine, model, p)
    messages = _messages(harness.tools, p)
    prompt = engine.fits(ids_of(pieces(engine.tokenizer, messages)), p["max_new_tokens"])
    record = Record(engine, "put in the examples, written in advance")
    done: Trials = {mode: [] for mode in MODES}
    for n, event in enumerate(harness.converse(messages)):
        record.add(event)
        yield _frame(record, done, p, 0.5)
        if n == 0 and not p["constrained"]:
            _guess(model, harness, prompt)
    for mode, constrained in MODES.items():
        for n in range(p["trials"]):
            params = SamplingParams(temperature=p["temperature"], seed=p["seed"] + n)
            done[mode].append(trial(harness, prompt, params, constrained))
            yield _frame(record, done, p, 0.5 + 0.5 * sum(map(len, done.values())) / (2 * p["trials"] + 1))
    yield _frame(record, done, p, None)


def _harness(engine: Engine, model: PrefixCachedModel, p: Mapping[str, Any]) -> Harness:
    table = tools.table_of(p["table"].replace(";", "\n"))
    given = (tools.calculator(), tools.lookup(table), tools.text_stats(), tools.clock(), tools.read_file(SANDBOX))
    chosen = given[: {"calculator": 1, "calculator, lookup": 2, "all five": 5}[p["tools"]]]
    if p["result"]:
        chosen = tuple(replace(tool, run=lambda arguments: p["result"]) for tool in chosen)
    bounds = Bounds(engine.model.config.n_ctx, steps=p["steps"], answer_tokens=p["max_new_tokens"])
    forced = 1 if p["constrained"] else 0
    return Harness(model, engine.tokenizer, engine.info.d_vocab, chosen, bounds, forced_calls=forced)


def _messages(given: Sequence[tools.Tool], p: Mapping[str, Any]) -> list[Message]:
    messages = [Message("system", system_text([tool.described() for tool in given]))]
    names = {tool.name for tool in given}
    for question, name, arguments, result in [one for one in EXAMPLES if one[1] in names][: p["examples"]]:
        call = json.dumps({"name": name, "arguments": arguments})
        messages += [Message("user", question), Message("assistant", call)]
        messages += [Message("tool", result), Message("assistant", f"The answer is {result}.")]
    return [*messages, Message("user", p["text"])]


def _guess(model: PrefixCachedModel, harness: Harness, prompt: Sequence[int]) -> None:
    """Reads ahead what the grammar would make of it: where the model writes the same by itself, that saves passes."""
    held = trial(harness, prompt, SamplingParams(), constrained=True)
    verify(model, prompt, harness.tokenizer.encode(held.text))


def _frame(record: Record, done: Trials, p: Mapping[str, Any], progress: float | None) -> Frame:
    views = keyed(
        {
            "what_happened": record.transcript("what happened, token by token"),
            "first_answer_again": _rates(done, p),
            "who_did_what": _shares(record),
        }
    )
    return Frame(_caption(record), views, _measured(record, done, p), progress)


def _rates(done: Trials, p: Mapping[str, Any]) -> Table:
    rows: list[tuple[Scalar, ...]] = []
    for mode, found in done.items():
        valid = sum(one.valid for one in found)
        low, high = wilson(valid, len(found)) if found else (0.0, 1.0)
        worked = sum(one.ran for one in found)
        common = max((one.text for one in found), key=[one.text for one in found].count, default="")
        rows.append(
            (
                mode,
                f"{valid} of {len(found)}",
                f"{percent(low)} to {percent(high)}",
                f"{worked} of {len(found)}",
                common,
            )
        )
    title = f"the first answer again, temperature {exact(p['temperature'])}, {plural(p['trials'], 'seed')} each"
    return Table(title, ("", "valid calls", "true rate (95 %)", "tool could run", "most often"), tuple(rows))


def _shares(record: Record) -> Table:
    chosen = record.written - record.forced
    rows: tuple[tuple[Scalar, ...], ...] = (
        ("software: system text, tools, examples, marks, results", record.given),
        ("model, choosing each token", chosen),
        ("model's turn, forced by the grammar", record.forced),
        ("tools run by the model", 0),
        ("tools run by the software", sum(not result.refused for result in record.results)),
    )
    return Table("who did what", ("", "count"), rows)


def _caption(record: Record) -> str:
    first = record.found[0] if record.found else None
    if not record.found and record.ended:
        told = "The model's answer was cut off before it was a call, so the software ran nothing."
    elif not record.found:
        told = "The model is writing; nothing runs while it does."
    elif isinstance(first, Call) and record.results:
        result = spelt(record.results[0].text[:60])
        told = f"The model wrote a call; the software ran {first.tool.name} and pasted in {result}."
    else:
        told = "The model wrote no valid call, so the software ran nothing."
    return told


def _measured(record: Record, done: Trials, p: Mapping[str, Any]) -> dict[str, Any]:
    result = record.results[-1].text if record.results else ""
    rate = {mode: sum(t.valid for t in found) / max(len(found), 1) for mode, found in done.items()}
    ran = {mode: sum(t.ran for t in found) / max(len(found), 1) for mode, found in done.items()}
    mine = "held in the grammar" if p["constrained"] else "free"
    count = len(done[mine])
    low, high = wilson(round(rate[mine] * count), count) if count else (0.0, 1.0)
    return {
        "call_text": record.call_text,
        "call_parsed": bool(record.found) and isinstance(record.found[0], Call),
        "tool_result": result,
        "answer": record.answer,
        "answer_uses_result": bool(result) and result.casefold() in record.answer.casefold(),
        "valid_call_rate": rate[mine],
        "valid_call_low": low,
        "valid_call_high": high,
        "valid_call_rate_free": rate["free"],
        "valid_call_rate_held": rate["held in the grammar"],
        "tool_ran_rate_free": ran["free"],
        "tool_ran_rate_held": ran["held in the grammar"],
        "trials": count,
        "tokens_total": record.tokens,
        "tokens_by_model": record.written - record.forced,
        "tokens_by_grammar": record.forced,
        "tokens_by_software": record.given,
        "ended": record.ended,
    }
