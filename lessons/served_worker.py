"""The process between the front end and a server: speaks the engine's protocol, and asks an API instead of a model of
its own. Never imports torch."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn

from llm_holes.engine.backends.backend import Backend
from llm_holes.engine.backends.capabilities import Found, known_of, probed
from llm_holes.engine.backends.key import key_for
from llm_holes.engine.backends.reference import ANSWERS, DOCTOR, answers, doctor
from llm_holes.engine.backends.wire import Wire
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc.address import Address, address_of
from llm_holes.engine.ipc.messages import Case, ModelInfo, Status
from llm_holes.engine.ipc.server import serve
from llm_holes.engine.work import Watch
from llm_holes.lessons import served
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import SettingsError, validated
from llm_holes.lessons.game.rules import FIND_THE_HOLE
from llm_holes.lessons.process import own_signals, prepared


class ServedHost:
    """Asks a server what it can do, and runs the lessons that can live on that."""

    def __init__(self, address: Address, model: str | None) -> None:
        self._address, self._model = address, model
        self._wire: Wire | None = None
        self._backend: Backend | None = None
        self._info: ModelInfo | None = None

    def load(self, report: Callable[[Status], None]) -> ModelInfo:
        report(Status("loading", f"asking {self._address.host}"))
        if self._wire is None:
            self._wire = Wire(self._address, key_for(self._address))

        def tell(done: int, of: int) -> None:
            report(Status("loading", f"asking {self._address.host} what it can do: {done} of {of}"))

        found = probed(self._wire, self._model, tell)
        self._backend = found.backend
        self._info = info_of(found)
        self._wire.rest()
        return self._info

    def run(
        self, lesson: str, settings: Mapping[str, Value], watch: Watch, case: Case | None
    ) -> tuple[dict[str, Value], Iterator[Frame]]:
        assert self._backend is not None
        assert self._info is not None, "the server loads before it runs"
        if lesson == FIND_THE_HOLE or case is not None:
            raise InputError("Nobody can break a model behind an API, so this game has no case there.", served.OFFER)
        backend = self._backend.cancellable(watch.is_cancelled)
        if lesson in (DOCTOR, ANSWERS):
            return {}, doctor(backend) if lesson == DOCTOR else answers(backend)
        found = catalog.load().lessons.get(lesson)
        if found is None:
            raise InputError(f"There is no lesson {lesson!r} to run.", "`llm-holes list` shows the lessons.")
        try:
            checked = validated(found, settings, self._info)
        except SettingsError as error:
            raise InputError(str(error)) from None
        return checked, served.frames(found, backend, checked)

    def rest(self) -> None:
        if self._wire is not None:
            self._wire.rest()


def info_of(found: Found) -> ModelInfo:
    """What the front end may say of the model: what its server tells."""
    backend, sizes = found.backend, dict(known_of(found.served))
    name = backend.name.rstrip("/")
    address = backend.wire.address
    return ModelInfo(
        n_layers=0, d_model=sizes.get("d_model", 0), n_heads=0, n_kv_heads=0, d_head=0, d_mlp=0,
        d_vocab=sizes.get("d_vocab", 0), n_ctx=sizes.get("n_ctx", 0), tied_embeddings=False,
        name=name.rpartition("/")[2] if name.startswith("/") else name,
        path=address.url, sha256="", dtype="", threads=0, parameters=sizes.get("parameters", 0), weight_format="",
        device=address.host, shows=served.shown(catalog.load(), backend.capabilities),
    )  # fmt: skip


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Serves until stdin ends, then ends the process."""
    parser = argparse.ArgumentParser(prog="llm-holes engine", description="A server's API, for a program on stdin.")
    parser.add_argument("--url", required=True, type=address_of, help="where the API begins: https://host/v1")
    parser.add_argument("--model", help="the model's name there, if it has several")
    args = parser.parse_args(argv)
    if sys.stdin.isatty():
        parser.error("it is started by llm-holes and reads messages, not what is typed")
    own_signals()
    pipes = prepared()
    # each request in a line: nobody reads them, and the log would fill
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    serve(*pipes, ServedHost(args.url, args.model))


if __name__ == "__main__":
    main()
