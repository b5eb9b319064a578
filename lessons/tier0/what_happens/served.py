"""One message on its way through a server: what goes in, what could have come out at each place, how it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from llm_holes.engine.backends.backend import (
    Answer,
    Ask,
    Backend,
    Capability,
    Ended,
    Piece,
    Written,
    answer,
    gathered,
    stream,
)
from llm_holes.engine.frames import Array, Diff, Flow, Frame, Heatmap, Stage, Token, Tokens
from llm_holes.engine.numbers import duration, percent, plural
from llm_holes.lessons.shared.asking import (
    any_of,
    counts,
    cut_by,
    gaps,
    is_end,
    name_of,
    named,
    prompt_for,
    strip,
    talk,
    whole_prompt,
)
from llm_holes.lessons.shared.report import Report

NEEDS: frozenset[Capability] = frozenset({"top 5"})
VIEWS: Mapping[str, frozenset[Capability]] = {
    "the loop": frozenset(),
    "what it reads": frozenset({"tokenize"}),
    "candidates": frozenset(),
    "both answers": frozenset({"completions", "template"}),
    "the answer": frozenset(),
    "the machine around it": frozenset({"chat"}),
}
BETS = frozenset({"p_first", "own_word_returns"})
UNSEEN: Mapping[str, str] = {}
CONNECTIONS = 1
TOP, SHOWN_PROMPT, SHOWN_IDS, NEXT_TOKENS = 8, 64, 6, 16
OUT_OF_SIGHT = "on the server, out of sight"


@dataclass
class Trace:
    """What is known so far: all that the model is given, if the server says it, its tokens with their title `reads`,
    and the answer."""

    reads: str
    text: str | None = None
    prompt: tuple[Token, ...] = ()
    pieces: list[Piece] = field(default_factory=list)
    ended: Ended | None = None
    own: Answer | None = None
    parted_at: int = 0
    report: Report = field(default_factory=Report)

    @property
    def written(self) -> list[Written]:
        return [one for piece in self.pieces for one in piece.tokens]

    @property
    def answer(self) -> str:
        return "".join(piece.text for piece in self.pieces)


def run(backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]:
    trace, can = Trace(cut_by(backend, "what the model is given")), backend.capabilities
    trace.text = whole_prompt(backend, p["text"], p["chat_template"])
    if "tokenize" in can:
        _read(backend, trace, p)
    yield _frame(trace, p, 0.05)
    steered = trace.text is not None and (p["forced"] or p["pick_step"])
    for part in _writing(backend, trace, p):
        if isinstance(part, Piece):
            trace.pieces.append(part)
            trace.report.say(f"Token {len(trace.written)}, {duration(part.ms)} after the message was sent.")
            yield _frame(trace, p, 0.1 + 0.7 * min(len(trace.written) / p["max_new_tokens"], 1.0))
        else:
            trace.ended = part
    if steered:
        trace.own = answer(backend, Ask(trace.text or "", p["max_new_tokens"], TOP))
    _compare(trace, p)
    _sum_up(trace)
    yield _frame(trace, p, 0.9)
    if "chat" in can:
        _next_message(backend, trace, p)
    yield _frame(trace, p)


def _read(backend: Backend, trace: Trace, p: Mapping[str, Any]) -> None:
    own = len(backend.encode(p["text"]))
    trace.report.measure(message_tokens=own)
    if trace.text is not None:
        trace.prompt = backend.encode(trace.text + p["forced"], specials=True)
        used = trace.text != p["text"]
        trace.report.measure(prompt_tokens=len(trace.prompt), template_used=used)
        trace.report.measure(forced_tokens=len(backend.encode(p["forced"])) if p["forced"] else 0)
        trace.report.say(f"The model is given {plural(len(trace.prompt), 'token')}, {own:,} of them your message.")


def _writing(backend: Backend, trace: Trace, p: Mapping[str, Any]) -> Iterator[Piece | Ended]:
    """The answer; where the learner picks, it is broken off and asked for again from the token that was picked."""
    limit, at = p["max_new_tokens"], p["pick_step"]
    if trace.text is None:
        yield from stream(backend, Ask(prompt_for(backend, p["text"], p["chat_template"]), limit, TOP))
        return
    begun = trace.text + p["forced"]
    picks = 0 < at <= limit
    if p["forced"]:
        yield Piece(p["forced"], (), 0.0)
    ask = Ask(begun, at if picks else limit, max(TOP, p["pick_rank"] if picks else 0))
    if not picks:
        yield from stream(backend, ask)
        return
    first = answer(backend, ask)
    if len(first.tokens) < at:
        yield from first.pieces
        yield first.ended
        return
    yield from _picked(backend, begun, first, limit - at, p["pick_rank"])


def _picked(backend: Backend, begun: str, first: Answer, left: int, rank: int) -> Iterator[Piece | Ended]:
    *kept, place = first.tokens
    taken = place.top[min(rank, len(place.top)) - 1]
    before = b"".join(one.token.data for one in kept)
    whole = (before + taken.data).decode("utf-8", "replace")
    yield Piece(before.decode("utf-8", "replace"), tuple(kept), first.pieces[0].ms)
    yield Piece(taken.text, (Written(taken, place.top),), first.ended.ms)
    if not taken.data or not left:
        yield Ended("max tokens" if taken.data else "end token", first.ended.ms)
        return
    yield from stream(backend, Ask(begun + whole, left, TOP))


def _compare(trace: Trace, p: Mapping[str, Any]) -> None:
    """The answer beside the one of a model with which nobody interferes."""
    given = any_of(trace.written)
    own = trace.own.tokens if trace.own else given
    first, surest = given[0].token, max((one.token for one in given), key=lambda likely: likely.p)
    trace.report.measure(
        p_first=first.p, first_token=named(first), p_surest=surest.p, surest_token=named(surest),
        answer=trace.answer, own_answer=trace.own.text if trace.own else trace.answer,
    )  # fmt: skip
    if p["forced"]:
        return
    place = next((n for n, (a, b) in enumerate(zip(own, given, strict=False)) if a.token.data != b.token.data), None)
    trace.parted_at = 0 if place is None else place + 1
    returns = False
    if place is not None:
        later = b"".join(one.token.data for one in given[place + 1 :]).decode("utf-8", "replace")
        returns = bool(own[place].token.text.strip()) and own[place].token.text.strip() in later
        trace.report.measure(own_token=named(own[place].token), taken_token=named(given[place].token))
    way = "its own" if not trace.parted_at else "came back" if returns else "went on"
    trace.report.measure(parted_at=trace.parted_at, own_word_returns=returns, way=way)


def _sum_up(trace: Trace) -> None:
    assert trace.ended is not None
    shown, reason = sum(not is_end(one.token) for one in trace.written), trace.ended.reason
    between = gaps(Answer(tuple(trace.pieces), trace.ended)) or [0.0]
    trace.report.measure(
        output_tokens=shown + (reason == "end token"),
        tokens_nobody_sees=int(reason == "end token"),
        tokens_read=shown,
        prefill_ms=trace.pieces[0].ms if trace.pieces else 0.0,
        decode_ms_per_token=median(between),
        stop_reason=reason,
        **counts({"prompt_tokens": trace.ended.prompt_tokens}),
    )
    trace.report.say(f"{plural(shown, 'token')} to read; stopped by: {reason}.")
    if trace.parted_at:
        said = trace.report.measured
        trace.report.say_also(
            f"At token {trace.parted_at} it was {said['taken_token']} in place of {said['own_token']}."
        )


def _next_message(backend: Backend, trace: Trace, p: Mapping[str, Any]) -> None:
    found: Answer | None = None
    if p["next_text"]:
        found = gathered(stream(backend, Ask(talk(p["text"], trace.answer, p["next_text"]), NEXT_TOKENS)))
        sent, kept = found.ended.prompt_tokens, found.ended.cached_tokens
        new = sent - kept if sent is not None and kept is not None else None
        told = counts({"next_prompt_tokens": sent, "next_kept_tokens": kept, "next_new_tokens": new})
        trace.report.measure(told, next_answer=found.text)
    trace.report.show_also(the_machine_around_it=_around(trace, found))


def _around(trace: Trace, following: Answer | None) -> Flow:
    sent = following.ended.prompt_tokens if following else None
    kept = following.ended.cached_tokens if following else None
    said = f"{plural(sent, 'token')} sent" if sent is not None else "sent with all that was said before"
    if sent is not None and kept is not None:
        said += f", {sent - kept:,} of them new to the server's cache"
    stages = (
        Stage("memory", "waiting", "no notes to paste in", hole="memory"),
        Stage("skills", "waiting", "no files of instructions to put in", hole="skills"),
        Stage("chat template", "done", "on the server", hole="stopping"),
        Stage("tokenizer", "done", "on the server", hole="tokenization"),
        Stage("the model", "done", f"{plural(len(trace.written), 'token')} to read", hole="prefill-decode"),
        Stage("numbers to text", "done", "on the server, piece by piece", hole="tokens"),
        Stage("tool calls", "waiting", "no tools here, so no call to look for", hole="tool-calls"),
        Stage("next message", "done" if following else "waiting", said if following else "nothing was asked",
              hole="kv-cache"),
    )  # fmt: skip
    return Flow("from one message to the next", stages, (0, len(stages) - 1), int(following is not None))


def _frame(trace: Trace, p: Mapping[str, Any], progress: float | None = None) -> Frame:
    written, around = trace.written, [view for view in trace.report.views if view.key == "the machine around it"]
    reads = Tokens(trace.reads, trace.prompt[-SHOWN_PROMPT:])
    trace.report.show(
        the_loop=_loop(trace, p),
        what_it_reads=reads if trace.prompt else None,
        candidates=_candidates(written, p) if written else None,
        both_answers=_both(trace) if written and trace.ended else None,
        the_answer=_strip(written) if written else None,
    )
    trace.report.show_also(*around)
    return trace.report.frame(progress)


def _loop(trace: Trace, p: Mapping[str, Any]) -> Flow:
    """Of the parts on the server only what goes in and comes out."""
    added = len(trace.text) - len(p["text"]) if trace.text is not None else None
    template = (
        OUT_OF_SIGHT if added is None else f"text: {len(p['text']):,} characters of yours + {added:,} around them"
    )
    ids = " ".join(str(token.id) for token in trace.prompt[:SHOWN_IDS])
    tokens = f"{plural(len(trace.prompt), 'id')}: {ids} …" if trace.prompt else OUT_OF_SIGHT
    last = trace.written[-1] if trace.written else None
    top = ", ".join(f"{named(likely)} {percent(likely.p)}" for likely in last.top[:2]) + " …" if last else ""
    state, end = "done" if last else "waiting", trace.ended
    first = f"first token after {duration(trace.pieces[0].ms)}" if trace.pieces else ""
    why = {"end token": "the end was picked; it is not shown", "max tokens": "as many tokens as allowed"}
    parts = (
        Stage("chat template", "done", template, hole="memory"),
        Stage("tokens", "done", tokens, hole="tokens"),
        Stage("embedding", "done" if last else "running", OUT_OF_SIGHT, hole="embeddings"),
        Stage("layers", "done" if last else "running", f"{OUT_OF_SIGHT}; {first}" if first else OUT_OF_SIGHT,
              hole="model-layers"),
        Stage("logits", state, top, hole="final-vector-to-token"),  # type: ignore[arg-type]
        Stage("pick one", state, named(last.token) if last else "", hole="prefill-decode"),  # type: ignore[arg-type]
        Stage("stop", "done" if end else "waiting", why.get(end.reason, "") if end else "", hole="stopping"),
    )  # fmt: skip
    return Flow("from your message to the answer", parts, (2, 5), max(len(trace.written) - 1, 0))


def _candidates(written: Sequence[Written], p: Mapping[str, Any]) -> Heatmap:
    ranks = range(min(TOP, *(len(one.top) for one in written)))
    cells = [(one, one.top[rank]) for rank in ranks for one in written]
    column = max(min(p["pick_step"], len(written)), 1) - 1
    return Heatmap(
        "what could have stood at each place; enter takes it",
        Array.of([[one.top[rank].p for one in written] for rank in ranks]),
        row_label="rank",
        column_label="token",
        column_names=tuple(one.token.text for one in written),
        unit="probability",
        row_control="pick_rank",
        column_control="pick_step",
        cursor=(0, column),
        texts=tuple(name_of(likely) for _, likely in cells),
        details=tuple(f"{named(likely)} {percent(likely.p)}" for _, likely in cells),
        first=1,
    )


def _both(trace: Trace) -> Diff:
    own = trace.own.text if trace.own else trace.answer
    title = f"the answer, parted at token {trace.parted_at}" if trace.parted_at else "the answer; nobody interfered"
    return Diff(title, own, trace.answer, "on its own", "with what you chose")


def _strip(written: Sequence[Written]) -> Tokens:
    chances = tuple(one.token.p for one in written)
    return Tokens("the answer, token by token", strip(written), chances, "probability")
