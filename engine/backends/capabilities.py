"""What a server can do, found out by asking it for each thing once: the answer counts, not what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_holes.engine.backends.backend import Ask, Capability, Ended, answer
from llm_holes.engine.backends.chances import single_bytes
from llm_holes.engine.backends.http import Dialect, HttpBackend
from llm_holes.engine.backends.said import Models, Served, typed
from llm_holes.engine.backends.tokens_here import tokens_here
from llm_holes.engine.backends.wire import Refused, Wire
from llm_holes.engine.errors import InputError, ModelError

TEXT = "The capital of France is"
LETTERS, ROUNDING = 4, 1e-3
HOT, DRAWN = 2.0, 5
"""Temperature and tokens at which two draws are hardly ever the same by chance."""
TOPS: tuple[tuple[Capability, int], ...] = (("top 1000", 1000), ("top 20", 20), ("top 5", 5), ("top 1", 1))
TOOL = {
    "type": "function",
    "function": {
        "name": "calculate",
        "description": "Adds numbers.",
        "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}},
    },
}


@dataclass(frozen=True)
class Found:
    """A server's model, and what is known of it."""

    backend: HttpBackend
    served: Served


def chosen(wire: Wire, name: str | None) -> Served:
    """The model with this name, or the only one there is. Raises ModelError."""
    try:
        models = typed(wire.get(f"{wire.address.url}/models"), Models).data
    except Refused as error:
        if name is None or error.status != 404:
            raise
        return Served(name)
    if name is not None:
        # a server may answer to names that it does not list
        return next((model for model in models if model.id == name), Served(name))
    if len(models) != 1:
        names = ", ".join(model.id for model in models[:8]) + (", …" if len(models) > 8 else "")
        raise ModelError(
            f"The server has {len(models)} models: {names}." if models else "The server names no model.",
            "Choose one with --model NAME.",
        )
    return models[0]


def probed(wire: Wire, name: str | None, report: Callable[[int, int], None] = lambda done, of: None) -> Found:
    """The server's model with everything that it can do. `report` is told how far it is. Raises ModelError."""
    served = chosen(wire, name)
    backend = HttpBackend(wire, served.id)
    asked = (_endpoints, _usage, _top, _echo, _prompt_chances, _seed, _tools, _tokenizer, _ids, _template)
    for done, step in enumerate(asked, 1):
        backend = step(backend)
        report(done, len(asked))
    return Found(backend, served)


def _with(backend: HttpBackend, *names: Capability) -> HttpBackend:
    return replace(backend, capabilities=backend.capabilities | set(names))


def plain(backend: HttpBackend, max_tokens: int = 1, **others: Any) -> Ask:
    """A request of the kind that the server has."""
    prompt = TEXT if "completions" in backend.capabilities else ({"role": "user", "content": TEXT},)
    return Ask(prompt, max_tokens, **others)


def _endpoints(backend: HttpBackend) -> HttpBackend:
    refusals = []
    for endpoint in (_completions, _chat):
        try:
            backend = endpoint(backend)
        except Refused as error:
            if error.status in (401, 403, 429, 503):
                raise
            refusals.append(error)
    if not backend.capabilities:
        raise refusals[-1]
    return backend if backend.ways.draws else _with(backend, "greedy")


def _completions(backend: HttpBackend) -> HttpBackend:
    answer(backend, Ask(TEXT, 1))
    return _with(backend, "completions")


def _chat(backend: HttpBackend) -> HttpBackend:
    answer(backend, Ask(({"role": "user", "content": TEXT},), 1))
    return _with(backend, "chat")


def _usage(backend: HttpBackend) -> HttpBackend:
    """Asked for twice: the second time some of the prompt may be kept."""
    able = _with(backend, "usage")
    ended: list[Ended] = []
    for _ in range(2):
        try:
            ended.append(answer(able, plain(able)).ended)
        except Refused:
            return backend
    if ended[-1].prompt_tokens is None:
        return backend
    return _with(able, "cached tokens") if ended[-1].cached_tokens is not None else able


def _top(backend: HttpBackend) -> HttpBackend:
    """As many as are told of a place, rather than as many as were asked for."""
    for at, (name, count) in enumerate(TOPS):
        able = _with(backend, name)
        try:
            tokens = answer(able, plain(able, top=count)).tokens
        except Refused:
            continue
        told = len(tokens[0].top) if tokens else 0
        if tokens:
            fitting = [other for other, enough in TOPS[at:] if told >= enough]
            return _with(backend, *(fitting or ["top 1"]))
        return backend
    return backend


def _echo(backend: HttpBackend) -> HttpBackend:
    def gives(found: HttpBackend) -> bool:
        return "".join(one.text for one in found.chances(TEXT)) == TEXT

    return _if_it(backend, "echo", gives) if "completions" in backend.capabilities else backend


def _prompt_chances(backend: HttpBackend) -> HttpBackend:
    if "completions" not in backend.capabilities:
        return backend
    return _if_it(backend, "prompt chances", lambda found: len(found.chances(TEXT)) > 1)


def _seed(backend: HttpBackend) -> HttpBackend:
    def gives(found: HttpBackend) -> bool:
        asks = [plain(found, DRAWN, temperature=HOT, seed=seed) for seed in (1, 1, 2)]
        first, again, other = (answer(found, ask).text for ask in asks)
        return first == again != other

    return _if_it(backend, "seed", gives)


def _tools(backend: HttpBackend) -> HttpBackend:
    """Whether it takes them: if the model calls one is another question."""
    if "chat" not in backend.capabilities:
        return backend
    ask = Ask(({"role": "user", "content": "What is 2 + 2?"},), 1, tools=(TOOL,))
    return _if_it(backend, "tools", lambda found: bool(answer(found, ask)))


def _tokenizer(backend: HttpBackend) -> HttpBackend:
    dialects: tuple[Dialect, ...] = ("llama.cpp", "vLLM")
    for dialect in dialects:
        able = _if_it(
            replace(backend, dialect=dialect), "tokenize", lambda found: _joined(found.encode(TEXT)) == TEXT.encode()
        )
        if "tokenize" in able.capabilities:
            return able
    return _tokens_here(backend)


def _tokens_here(backend: HttpBackend) -> HttpBackend:
    try:
        return replace(_with(backend, "tokenize"), here=tokens_here(backend, backend.wire.address.here))
    except (ModelError, InputError) as error:
        told = f"This server cuts no text into tokens for others, and {error}. {error.hint}"
        return replace(backend, here=told.strip())


def _ids(backend: HttpBackend) -> HttpBackend:
    """A text is sent as letters, which is not how its tokens would be."""
    if not {"completions", "tokenize"} <= backend.capabilities:
        return backend

    def gives(found: HttpBackend) -> bool:
        letters = single_bytes(found, TEXT)
        ids = [letters[byte] for byte in TEXT[:LETTERS].encode()]
        told = found.chances(ids)
        spelt = "".join(likely.text for likely in told)[-LETTERS + 1 :]
        named = [likely.id for likely in told[1:]]
        # of two letters at one place, each as likely as if there were no other, one would be a lie
        other = found.chances([ids[0], ids[2]])
        honest = sum(one[1].p for one in (told, other)) <= 1 + ROUNDING
        return honest and len(told) == LETTERS and (named == ids[1:] or spelt == TEXT[1:LETTERS])

    return _if_it(backend, "ids", gives)


def _template(backend: HttpBackend) -> HttpBackend:
    """What it says of the message has to be in it, and marks around it."""
    if not backend.dialect or "chat" not in backend.capabilities:
        return backend
    talk = ({"role": "user", "content": TEXT},)

    def gives(found: HttpBackend) -> bool:
        text = found.rendered(talk)
        return TEXT in text and text.strip() != TEXT

    return _if_it(backend, "template", gives)


def _joined(tokens: Any) -> bytes:
    return b"".join(token.data for token in tokens)


def _if_it(backend: HttpBackend, name: Capability, gives: Callable[[HttpBackend], bool]) -> HttpBackend:
    """The backend with this capability, if it shows it."""
    able = _with(backend, name)
    try:
        return able if gives(able) else backend
    except (ModelError, InputError, LookupError):
        return backend


def known_of(served: Served) -> Iterator[tuple[str, int]]:
    """The sizes that a server tells of its model."""
    meta: Mapping[str, Any] = served.meta or {}
    for name, told in (("d_vocab", "n_vocab"), ("d_model", "n_embd"), ("n_ctx", "n_ctx"), ("parameters", "n_params")):
        value = meta.get(told)
        if isinstance(value, int) and value > 0:
            yield name, value
    if served.max_model_len:
        yield "n_ctx", served.max_model_len
