"""One sum in four places: numbers typed by hand, two tokens, a query with keys, the final vector with the table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Bars, Frame, Table
from llm_holes.engine.model.decoder import inverse_frequencies, scaled
from llm_holes.engine.model.hook_names import tap
from llm_holes.engine.numbers import exact, figure, plural
from llm_holes.engine.spelling import spelt
from llm_holes.lessons.shared.report import Report
from llm_holes.lessons.shared.words import Word, best, cosine, cosines, embedding_table, labels, output_table, word

MAX_NUMBERS = 64
WINDOW = 512
SHOWN = 8


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    a, b = numbers(p["a"], "first vector"), numbers(p["b"], "second vector")
    if len(a) != len(b):
        raise InputError(f"the vectors have {len(a)} and {len(b)} numbers", "Give both the same count.")
    ids = engine.encode(p["text"])
    report, dot = Report(), float(a @ b)
    report.measure(dot=dot, cosine=cosine(a, b))
    terms, sums = _by_hand(a, b)
    report.show(the_terms=terms, term_by_term=sums)
    report.say(f"By hand: {figure(dot)}, cosine {figure(cosine(a, b))}.")
    yield report.frame(0.1)

    tokens = [word(engine, p[name], name) for name in ("word", "word_b")]
    found, view = _tokens(engine, *tokens)
    report.measure(found)
    report.show_also(neighbours=view)
    report.say_also(f"Nearest to {spelt(tokens[0].text)} by dot product: {spelt(found['neighbour_by_dot'])}.")
    yield report.frame(0.4)

    found, view = _scores(engine, ids, p["layer"], p["head"])
    report.measure(found)
    report.show_also(query_and_keys=view)
    yield report.frame(0.7)

    found, view = _logits(engine, ids, p["row_scale"])
    report.measure(found)
    report.show_also(vector_and_rows=view)
    yield report.frame()


def numbers(text: str, name: str) -> Tensor:
    """The numbers of a text such as "2 3 1", in double precision. Raises InputError."""
    try:
        values = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise InputError(f"the {name} is not a list of numbers: {text!r}", "Type numbers, such as 2 3 1.") from None
    if not 1 <= len(values) <= MAX_NUMBERS or not all(abs(value) <= 1e6 for value in values):
        raise InputError(
            f"the {name} needs 1 to {MAX_NUMBERS} numbers within a million", "Type numbers, such as 2 3 1."
        )
    return torch.tensor(values, dtype=torch.float64)


def turned(x: Tensor, frequency: Tensor, start: int = 0) -> Tensor:
    """RoPE of x [pos, d_head], written anew with complex numbers: pair i at position m turns by m · frequency[i]."""
    left, right = x.double().chunk(2, dim=-1)
    angle = torch.arange(start, start + len(x)).double()[:, None] * frequency.double()
    pairs = torch.complex(left, right) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((pairs.real, pairs.imag), dim=-1)


def _by_hand(a: Tensor, b: Tensor) -> tuple[Bars, Table]:
    terms = a * b
    rows = zip(a.tolist(), b.tolist(), terms.tolist(), terms.cumsum(0).tolist(), strict=True)
    norms = f"lengths {figure(float(a.norm()))} and {figure(float(b.norm()))}"
    title = f"term by term ({norms}, cosine {figure(cosine(a, b))})"
    factors = tuple(f"{exact(x)} × {exact(y)}" for x, y in zip(a.tolist(), b.tolist(), strict=True))
    bars = Bars("the terms", factors, tuple(terms.tolist()))
    return bars, Table(title, ("a", "b", "a × b", "sum so far"), tuple(rows))


def _tokens(engine: Engine, a: Word, b: Word) -> tuple[dict[str, Any], Table]:
    """Token · token, and who is nearest to the first one by dot product and by cosine."""
    table = embedding_table(engine)
    by_dot, by_cosine = table @ a.vector, cosines(table, a.vector)
    first, second = best(by_dot, SHOWN, a.ids), best(by_cosine, SHOWN, a.ids)
    rows = [
        (engine.token_text(i), float(by_dot[i]), float(table[i].norm()), engine.token_text(j), float(by_cosine[j]))
        for i, j in zip(first, second, strict=True)
    ]
    dot = float(a.vector @ b.vector)
    measured = {
        "token_dot": dot,
        "token_cosine": cosine(a.vector, b.vector),
        "neighbour_by_dot": engine.token_text(first[0]),
        "neighbour_by_cosine": engine.token_text(second[0]),
        "tokens_nearer_than_itself_by_dot": int((by_dot > a.vector @ a.vector).sum()),
    }
    cosine_of_both = figure(cosine(a.vector, b.vector))
    title = f"tokens: {a.text} · {b.text} = {figure(dot)}, cosine {cosine_of_both}; neighbours of {a.text}"
    return measured, Table(title, ("by dot product", "dot", "its length", "by cosine", "cosine"), tuple(rows))


def _scores(engine: Engine, ids: Sequence[int], layer: int, head: int) -> tuple[dict[str, Any], Table]:
    """The last token's query with every key, from q and k before RoPE, beside the score the model computed."""
    config, ids = engine.model.config, ids[-WINDOW:]
    points = ("attn.hook_q", "attn.hook_k", "attn.hook_attn_scores")
    acts = engine.model.forward(torch.tensor([ids]), taps=[tap(layer, x) for x in points], logits_to_keep=1).acts
    q, k, theirs = (torch.from_numpy(acts[tap(layer, x)][0]) for x in points)
    query, keys = q[-1:, head], k[:, head // config.kv_group]
    plain = (keys.double() @ query[0].double()).tolist()
    frequency = scaled(config.rope, inverse_frequencies(config))
    dots = turned(keys, frequency) @ turned(query, frequency, len(ids) - 1)[0]
    ours, model = dots / math.sqrt(config.d_head), theirs[head, -1].double()
    shown = best(ours, SHOWN)
    names = labels(engine, ids)
    rows = tuple((i, names[i], plain[i], float(dots[i]), float(ours[i]), float(model[i])) for i in shown)
    top = shown[0]
    measured = {
        "attention_score_reproduced_max_abs_diff": float((ours - model).abs().max()),
        "attention_score": float(ours[top]),
        "attention_looks_at": names[top],
        "attention_cosine": float(dots[top] / (query.double().norm() * keys[top].double().norm()).clamp_min(1e-12)),
    }
    title = f"layer {layer}, head {head}: the query of {spelt(names[-1])} with each of {plural(len(ids), 'key')}"
    columns = ("", "key of", "q·k", "after RoPE", f"divided by √{config.d_head}", "the model's score")
    return measured, Table(title, columns, rows)


def _logits(engine: Engine, ids: Sequence[int], row_scale: float) -> tuple[dict[str, Any], Table]:
    """The final vector with each row of the output table, and who wins if the length of the winner's row changes."""
    point = "ln_final.hook_normalized"
    out = engine.model.forward(torch.tensor([ids]), taps=[point], logits_to_keep=1)
    state, table = torch.from_numpy(out.acts[point][0, -1]), output_table(engine.model)[: engine.tokenizer.vocabulary]
    logits = out.logits[0, -1, : len(table)]
    shown = best(logits, SHOWN)
    by_hand = (table[shown].double() * state.double()).sum(-1)
    angle = cosines(table, state)
    winner = shown[0]
    resized = logits.clone()
    resized[winner] *= row_scale
    rows = tuple(
        (
            engine.token_text(i),
            float(table[i].norm()),
            float(state.norm()),
            float(angle[i]),
            float(dot),
            float(logits[i]),
        )
        for i, dot in zip(shown, by_hand, strict=True)
    )
    chosen, scaled = (engine.token_text(int(scores.argmax())) for scores in (logits, resized))
    measured = {
        "logit_reproduced_max_abs_diff": float((by_hand - logits[shown]).abs().max()),
        "winner": chosen,
        "winner_logit": float(logits[winner]),
        "winner_cosine": float(angle[winner]),
        "best_cosine": float(angle.max()),
        "best_by_cosine": engine.token_text(int(angle.argmax())),
        "row_scale": row_scale,
        "winner_with_scaled_row": scaled,
    }
    title = f"the final vector with rows of the output table; {spelt(chosen)} times {exact(row_scale)}: "
    columns = (
        "row of",
        "its length",
        "length of the vector",
        "cosine",
        "length × length × cosine",
        "the model's logit",
    )
    return measured, Table(f"{title}{spelt(scaled)} wins", columns, rows)
