"""Which pictures of which lessons a model on a server can give, and what is said in place of the others. No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from msgspec import structs

from llm_holes.engine.backends.backend import DRAWN, MEANING, Backend, Capability
from llm_holes.engine.frames import Frame, Text, Value
from llm_holes.lessons.catalog.catalog import Catalog, Lesson

FILE = "served.py"
WHOSE, CHOSEN = "whose tokens", "drawn, not chosen"
OFFER = "E shows this on the local model, with the same text."
HIDDEN: Mapping[str, str] = {
    "vectors": "the vectors that its model works with",
    "dot-product": "queries, keys and the products of them",
    "tokenization-perf": "its tokenizer, which can only be timed from within",
    "embeddings": "the table of embeddings",
    "weights": "weights",
    "gradients": "gradients: nothing can be trained through it",
    "directions": "directions inside the model",
    "model-layers": "single layers",
    "attention": "what a head looks at",
    "multi-head-attention": "single heads",
    "ffn": "neurons",
    "layer-transforms": "what a layer does to a vector",
    "dimension-tradeoffs": "vectors, so that they cannot be cut",
    "hidden-states": "hidden states",
    "sparse-attention": "what a token looks at, and lets nobody change it",
    "attention-approximations": "attention, and lets nobody replace it",
    "quantization": "weights, and lets nobody round them",
    "paged-attention": "how its memory is cut into blocks",
    "kv-cache-offloading": "where its cache is",
    "mqa-gqa": "keys and values, which cannot be merged from outside",
}
"""What an API does not show, for lessons that live on it."""


class Served(Protocol):
    """A lesson on a model behind an API: the file `served.py` of its folder.

    `NEEDS` is what the server must be able to do. `VIEWS` are the keys of the steps' views that it gives, each with
    what that one needs besides, and `BETS` the measurements that decide the bets on them; `UNSEEN` says of others why
    there are none. It never has more than `CONNECTIONS` open.
    What it measures has the names of the experiment on the local model.
    """

    NEEDS: frozenset[Capability]
    VIEWS: Mapping[str, frozenset[Capability]]
    BETS: frozenset[str]
    UNSEEN: Mapping[str, str]
    CONNECTIONS: int

    def run(self, backend: Backend, p: Mapping[str, Any]) -> Iterator[Frame]: ...


def served(lesson: Lesson) -> Served | None:
    """The lesson's `served.py`, if it has one."""
    if not (lesson.place / FILE).is_file():
        return None
    return cast(Served, import_module(f"llm_holes.lessons.tier{lesson.tier}.{lesson.place.name}.served"))


def shown(catalog: Catalog, can: Collection[Capability]) -> dict[str, list[str]]:
    """By lesson, what a server with these capabilities gives: keys of views, and measurements that decide bets. Lessons
    without any are left out."""
    found: dict[str, list[str]] = {}
    for lesson in catalog.lessons.values():
        live = served(lesson)
        if live is not None and (given := _given(live, can)):
            bets = (step.bet.measurement for step in lesson.steps if step.bet is not None and step.view in given)
            found[lesson.id] = [*given, *(bet for bet in bets if bet in live.BETS)]
    return found


def frames(lesson: Lesson, backend: Backend, settings: Mapping[str, Value]) -> Iterator[Frame]:
    """The frames of the lesson, with a sentence for each picture of a step that the server cannot give."""
    live, can = served(lesson), backend.capabilities
    given = _given(live, can)
    absent = tuple(
        Text(view, _why(lesson, live, view, backend), key=view)
        for view in dict.fromkeys(step.view for step in lesson.steps)
        if view not in given
    )
    if live is None or not given:
        said = (
            absent[0].text.removesuffix(OFFER).strip()
            if live is None
            else "This server does not tell what is shown here."
        )
        yield Frame(said, absent)
        return
    asides = tuple(_asides(live, given, backend))
    for frame in live.run(backend, settings):
        wanted = tuple(view for view in frame.views if view.key in given or not _is_step(lesson, view.key))
        yield structs.replace(frame, views=(*wanted, *absent, *asides))


def _asides(live: Served, given: Collection[str], backend: Backend) -> Iterator[Text]:
    """What is to be known of the pictures that are there."""
    if "greedy" not in backend.capabilities:
        yield Text(CHOSEN, DRAWN, key=CHOSEN)
    if backend.about_tokens and any("tokenize" in live.NEEDS | live.VIEWS[view] for view in given):
        yield Text(WHOSE, backend.about_tokens, key=WHOSE)


def _is_step(lesson: Lesson, key: str) -> bool:
    return any(step.view == key for step in lesson.steps)


def _given(live: Served | None, can: Collection[Capability]) -> list[str]:
    if live is None or not set(can) >= live.NEEDS:
        return []
    return [key for key, needs in live.VIEWS.items() if needs <= set(can)]


def _why(lesson: Lesson, live: Served | None, view: str, backend: Backend) -> str:
    if live is None:
        return f"An API does not show {HIDDEN.get(lesson.id, 'what this lesson looks at')}. {OFFER}"
    if view in live.UNSEEN:
        return f"{live.UNSEEN[view]} {OFFER}"
    missing = sorted((live.NEEDS | live.VIEWS.get(view, frozenset())) - backend.capabilities)
    if missing == ["tokenize"] and backend.about_tokens:
        return f"{backend.about_tokens} {OFFER}"
    wanted = " and ".join(MEANING[name] for name in missing)
    return f"This picture needs a server that {wanted}. This one does not. {OFFER}"
