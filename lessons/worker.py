"""The engine process: `python -m llm_holes.lessons.worker`, or `llm-holes engine`. Joins the catalog to the server."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from msgspec import structs

from llm_holes.engine.backends.reference import ANSWERS, DOCTOR, answers
from llm_holes.engine.cores import PASSIVE, Cores
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame, Text, Value
from llm_holes.engine.ipc.messages import Case, ModelInfo, Status
from llm_holes.engine.ipc.server import serve
from llm_holes.engine.work import Watch
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import SettingsError, validated
from llm_holes.lessons.game.rules import FIND_THE_HOLE, checked_move
from llm_holes.lessons.process import own_signals, prepared
from llm_holes.lessons.shared.copies import COPIES
from llm_holes.lessons.shared.model_limits import about
from llm_holes.lessons.shared.passes import PASSES

if TYPE_CHECKING:
    from llm_holes.engine.engine import Engine
    from llm_holes.lessons.catalog.catalog import Lesson
    from llm_holes.lessons.game.engine_side import Cases

SHORT = 500
"""Characters of a text whose tokens need not be counted."""


class EngineHost:
    """Loads the model and runs the lessons' experiments on it."""

    def __init__(
        self, model: str | None, threads: int | None, device: str | None = None, dtype: str | None = None
    ) -> None:
        self._model, self._threads, self._device, self._dtype = model, threads, device, dtype
        self._cores = Cores()
        self._engine: Engine | None = None
        self._cases: Cases | None = None
        self._place = contextlib.ExitStack()

    def load(self, report: Callable[[Status], None]) -> ModelInfo:
        with _nothing_to_collect():
            return self._loaded(report)

    def _loaded(self, report: Callable[[Status], None]) -> ModelInfo:
        from llm_holes.engine.checkpoint import store

        # torch takes seconds to import, about as long as the file takes to be found and checked
        importing = threading.Thread(target=_import_torch, daemon=True)
        importing.start()
        files = store.locate(self._model, report)
        report(Status("loading", f"loading {files.name}"))
        importing.join()
        from llm_holes.engine.device import OnDevice, chosen
        from llm_holes.engine.engine import Engine
        from llm_holes.lessons.game.engine_side import Cases

        place = chosen(self._device, self._dtype)
        threads = self._cores.threads() if self._threads is None else max(1, self._threads)
        self._engine = Engine.load(files, threads, place)
        self._cases = Cases()
        if place.device.type != "cpu":
            # for as long as the process lives: all that it computes is of this one model
            self._place.enter_context(OnDevice(place.device))
        return self._engine.info

    def run(
        self, lesson: str, settings: Mapping[str, Value], watch: Watch, case: Case | None
    ) -> tuple[dict[str, Value], Iterator[Frame]]:
        assert self._engine is not None
        assert self._cases is not None, "the server loads before it runs"
        from llm_holes.engine import cost, memory

        engine = self._engine.cancellable(watch.is_cancelled, watch.tell)
        if lesson == DOCTOR:
            from llm_holes.engine import selfcheck

            return {}, selfcheck.run(engine, {})
        if lesson == ANSWERS:
            from llm_holes.engine.backends.local import LocalBackend

            return {}, answers(LocalBackend(engine))
        try:
            if lesson == FIND_THE_HOLE:
                checked = checked_move(settings, engine.info)
                return checked, self._cases.run(engine, checked)
            found = catalog.load().lessons.get(lesson)
            if found is None:
                raise InputError(f"There is no lesson {lesson!r} to run.", "`llm-holes list` shows the lessons.")
            checked = validated(found, settings, engine.info)
        except SettingsError as error:
            raise InputError(str(error)) from None
        if lesson in COPIES:
            memory.refuse_copies(found.data.title, engine.info.parameters, COPIES[lesson], engine.info.device)
        if reading := PASSES.get(lesson):
            text = _longest(found, checked)
            tokens = reading.tokens(len(engine.tokenizer.encode(text)) if text else 0, checked)
            cost.refuse_long(engine, found.data.title, reading.times(checked), tokens, reading.beside(checked))
            watch.expect(reading.times(checked), tokens)
        if case is not None:
            engine = self._cases.damaged(engine, case)
        notes: dict[str, None] = {}
        engine = replace(engine, tokenizer=engine.tokenizer.telling(notes.setdefault))
        frames = catalog.experiment(found).run(engine, checked)
        return checked, _with_notes(frames, notes, about(lesson, engine.model.config))

    def rest(self) -> None:
        if self._engine is not None:
            import torch

            from llm_holes.engine import memory

            memory.give_back(torch.device(self._engine.info.device))


def _longest(lesson: Lesson, settings: Mapping[str, Value]) -> str:
    """The longest text among the settings, "" where all are short."""
    texts = [str(settings[control.name]) for control in lesson.controls if control.kind == "text"]
    longest = max(texts, key=len, default="")
    return longest if len(longest) > SHORT else ""


def _with_notes(frames: Iterator[Frame], notes: Mapping[str, None], limits: Sequence[str]) -> Iterator[Frame]:
    """The frames, each with what the tokenizer has told so far of how the prompt differs from what was meant, and with
    what the model cannot show."""
    for frame in frames:
        told = {"about the prompt": notes, "about this model": limits}
        said = tuple(Text(title, "\n".join(lines)) for title, lines in told.items() if lines)
        yield structs.replace(frame, views=(*frame.views, *said)) if said else frame


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Serves until stdin ends, then ends the process."""
    parser = argparse.ArgumentParser(prog="llm-holes engine", description="The engine, for a program on its stdin.")
    parser.add_argument("--model", help="a model's name, its folder or a .gguf file")
    parser.add_argument("--threads", type=int, help="for the model; else one for each free core but one")
    parser.add_argument("--device", help="cpu, cuda, cuda:N or mps; else the GPU if there is one")
    parser.add_argument("--dtype", choices=("fp32", "bf16"), help="of the matrices; else bf16 on a GPU, fp32 on a CPU")
    args = parser.parse_args(argv)
    if sys.stdin.isatty():
        parser.error("it is started by llm-holes, here or through ssh, and reads messages, not what is typed")
    own_signals()
    os.environ.update(PASSIVE)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy's, which know no other way of waiting
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["TQDM_DISABLE"] = "1"
    # what Apple's GPUs cannot do yet is done on the CPU, and said on stderr
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    serve(*prepared(), EngineHost(args.model, args.threads, args.device, args.dtype))


@contextlib.contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """What is made meanwhile stays: looking through it again and again for garbage is a quarter of importing torch."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _import_torch() -> None:
    # only torch: two threads that import modules which import each other may see half of one
    import torch  # noqa: F401


if __name__ == "__main__":
    main()
