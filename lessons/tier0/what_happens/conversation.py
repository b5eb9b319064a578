"""Where the tokens of a prompt come from, and the turn after this one, on what is kept of this one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Context, Contexts, Part
from llm_holes.engine.generation.generate import last_logits
from llm_holes.engine.model.cache import ContiguousCache
from llm_holes.engine.tokenizer.tokenizer import Detokenizer, Tokenizer
from llm_holes.lessons.shared.prompt_parts import Said, parts_of

Message = Mapping[str, str]
TEMPLATE, SYSTEM, EARLIER, YOURS, BEGUN = "template", "system text", "earlier messages", "your message", "answer begun"
SOURCES = (TEMPLATE, SYSTEM, EARLIER, YOURS, BEGUN)


@dataclass(frozen=True, slots=True)
class NextTurn:
    """The message after the answer: `ids` is all that is sent, of which the first `kept` tokens are what the cache
    holds already."""

    ids: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
    kept: int = 0
    answer: str = ""


def made_of(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[Said]:
    """The texts that the chat template puts together, each with its source."""
    exact = _with_template(tokenizer, messages)
    if "".join(text for text, _ in exact) == tokenizer.chat(messages):
        return exact
    bare = [{**message, "content": message["content"].strip()} for message in messages]
    return _with_template(tokenizer, bare)  # many templates cut the spaces around a message


def _with_template(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[Said]:
    nonce = secrets.token_hex(8)
    marked = [{**message, "content": f"{nonce}-{n}-{nonce}"} for n, message in enumerate(messages)]
    said: list[Said] = []
    for n, text in enumerate(re.split(f"{nonce}-([0-9]+)-{nonce}", tokenizer.chat(marked))):
        if n % 2:
            said.append((messages[int(text)]["content"], YOURS if int(text) == len(messages) - 1 else EARLIER))
        else:
            said += _by_template(tokenizer, text)
    groups = groupby(said, key=lambda one: one[1])
    return [("".join(text for text, _ in texts), source) for source, texts in groups]


def _by_template(tokenizer: Tokenizer, text: str) -> Iterator[Said]:
    """The marks around the messages, and a system text that the template brings itself: what stands between two marks
    and is more than the name of a role."""
    marks = "|".join(map(re.escape, sorted(map(tokenizer.decode, ([i] for i in tokenizer.special_ids)), key=len)[::-1]))
    for piece in re.split(f"({marks})", text) if marks else [text]:
        role, line, said = piece.partition("\n")
        if said.strip():
            yield role + line, TEMPLATE
            yield said, SYSTEM
        elif piece:
            yield piece, TEMPLATE


def by_source(parts: Sequence[Part]) -> dict[str, int]:
    """Tokens of each source, all sources named."""
    return {source: sum(part.tokens for part in parts if part.group == source) for source in SOURCES}


def next_turn(
    engine: Engine, cache: ContiguousCache, held: Sequence[int], said: Sequence[Said], ids: Sequence[int], limit: int
) -> NextTurn:
    """Answers the prompt `ids`, made of `said`, reading only what the cache, which begins with `held`, does not have
    yet; without an answer if it does not fit the context. Raises Cancelled."""
    parts = parts_of(engine, ids, said)
    both = zip(held, ids[:-1], strict=False)  # the last one is always read: its logits are what is asked for
    kept = next((n for n, (a, b) in enumerate(both) if a != b), min(len(held), len(ids) - 1))
    if len(ids) + limit > engine.model.config.n_ctx:
        return NextTurn(tuple(ids), parts, kept)
    cache.truncate(kept)
    logits = last_logits(engine.model, ids[kept:], cache)
    text, answer = Detokenizer(engine.tokenizer), ""
    for _ in range(limit):
        token = int(logits.argmax())
        if token in engine.tokenizer.eos_ids:
            break
        answer += text.feed(token)
        logits = last_logits(engine.model, [token], cache)
    return NextTurn(tuple(ids), parts, kept, answer + text.flush())


def what_is_sent(now: Sequence[Part], later: Sequence[Part]) -> Contexts:
    rows = [Context("this message", tuple(now)), *([Context("the next one", tuple(later))] if later else [])]
    return Contexts("what is sent, with this message and with the next one", tuple(rows))
