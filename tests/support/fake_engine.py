"""An engine without a model, for tests: `python tests/support/fake_engine.py [--load SECONDS] [--unavailable]`.

Each lesson id below misbehaves or behaves in one way; any other id gets three frames that show every kind of view.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from llm_holes.engine import frames as f
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc import server
from llm_holes.engine.ipc.messages import Case, ModelInfo, Status
from llm_holes.engine.ipc.server import leave, private_pipes, serve
from llm_holes.engine.work import Watch, Work

MODEL = ModelInfo(
    name="Fake-1M",
    path="/models/fake.gguf",
    sha256="0" * 64,
    dtype="float32",
    threads=1,
    n_layers=30,
    d_model=576,
    n_heads=9,
    n_kv_heads=3,
    d_head=64,
    d_mlp=1536,
    d_vocab=49152,
    n_ctx=8192,
    parameters=134_515_008,
    tied_embeddings=True,
    weight_format="Q4_1",
)
SHORT = "one frame"
"""The text for which a run has one frame instead of three."""
UNSOLVED = 13
"""The case of the game that cannot be solved."""
PIECES = (b"Once", b" upon", b" a", b" time", b"\xe2\x80", b"\x1b[2J", b" [end]")


def gallery(step: int, steps: int) -> Frame:
    """A frame with one view of every kind."""
    heat = tuple(tuple((r * 8 + c) / 47 for c in range(8)) for r in range(6))
    views: tuple[f.View, ...] = (
        f.Tokens("tokens", tuple(f.Token(i, p) for i, p in enumerate(PIECES)), (0.1, 0.9, 0.3, 0.5, 0, 1, 0.7)),
        f.Heatmap("attention", f.Array.of(heat), "to", "from", unit="weight"),
        f.Bars("next token", (" the", " a", " an"), (0.5, 0.25, -0.125), marked=0),
        f.Curve("time", (f.series("cache on", range(5), [1, 1, 2, 2, 3]),), "tokens", "ms"),
        f.Table(
            "costs", ("step", "ms", "exact"), (("prefill", 12.5, True), ("decode", 41, False)), marked=1, key="count"
        ),
        f.Text("answer", "Paris [is] the capital\nof \u202eFrance."),
        f.Diff("answer", "the cat sat", "the dog sat"),
    )
    measured: dict[str, Value] = {"step": step, "ms_per_token": 12.5, "answer": "Paris", "spread": float("nan")}
    return Frame(f"Step {step} of {steps}.", views, measured, step / steps if step < steps else None)


def endless(watch: Watch) -> Iterator[Frame]:
    """Frames for ever, and between them a look at `watch` every millisecond."""
    number = 0
    while True:
        yield Frame(f"working {number}", progress=0.5)
        number += 1
        watch.tell(Work("piece", number, 1000))
        for _ in range(50):
            if watch.is_cancelled():
                return
            time.sleep(0.001)


def silent(watch: Watch) -> Iterator[Frame]:
    """Half a second of work without a frame."""
    for number in range(50):
        watch.tell(Work("piece", number + 1, 50))
        time.sleep(0.01)
    yield Frame("at last")


def deaf() -> Iterator[Frame]:
    """Sleeps in C code, with the interpreter's lock given away, as a long matrix product does."""
    yield Frame("deaf")
    ctypes.CDLL(None).sleep(30)


def busy() -> Iterator[Frame]:
    yield Frame("busy")
    while True:
        pass


def noisy() -> Iterator[Frame]:
    print("a library says hello")
    os.write(1, b"and so does its C code\n")
    os.system("echo and so does a child; cat")
    yield Frame("noisy")


def child() -> Iterator[Frame]:
    """A child process that would outlive the engine."""
    pid = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "60")
    yield Frame("child", measured={"pid": pid})
    time.sleep(60)


def flood() -> Iterator[Frame]:
    """Far more bytes than a pipe holds."""
    for number in range(64):
        yield Frame(f"flood {number}", (f.Text("text", "x" * 100_000),))


def crash() -> Iterator[Frame]:
    yield Frame("about to crash")
    os.kill(os.getpid(), signal.SIGSEGV)


def failing(error: BaseException) -> Iterator[Frame]:
    yield Frame("about to fail")
    raise error


class FakeHost:
    def __init__(self, load_seconds: float, unavailable: bool) -> None:
        self.load_seconds = load_seconds
        self.unavailable = unavailable

    def load(self, report: Callable[[Status], None]) -> ModelInfo:
        report(Status("loading", "loading the fake model"))
        time.sleep(self.load_seconds)
        if self.unavailable:
            raise ModelError("There is no fake model.", "Start the fake without --unavailable.")
        return MODEL

    def run(
        self, lesson: str, settings: Mapping[str, Value], watch: Watch, case: Case | None
    ) -> tuple[dict[str, Value], Iterator[Frame]]:
        if lesson == "refused":
            raise InputError("The text is too long.", "Use at most 8,192 tokens.")
        runs: dict[str, Callable[[], Iterator[Frame]]] = {
            "slow": lambda: endless(watch),
            "silent": lambda: silent(watch),
            "deaf": deaf,
            "busy": busy,
            "noisy": noisy,
            "child": child,
            "flood": flood,
            "crash": crash,
            "out-of-memory": lambda: failing(MemoryError()),
            "unfit": lambda: failing(ModelError("The chat template fails.", "Use another model.")),
            "broken": lambda: failing(KeyError("layer")),
            "find-the-hole": lambda: iter(
                (Frame("the truth", measured={"solvable": settings.get("seed") != UNSOLVED}),)
            ),
        }
        steps = 1 if settings.get("text") == SHORT else 3
        galleries = (gallery(n, steps) for n in range(1, steps + 1))
        return {"text": "default"} | dict(settings), runs.get(lesson, lambda: galleries)()

    def rest(self) -> None:
        print("rested", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", type=float, default=0.0)
    parser.add_argument("--unavailable", action="store_true")
    parser.add_argument("--heartbeat", type=float, default=server.HEARTBEAT_SECONDS, help="seconds between two")
    parser.add_argument("--garbage", action="store_true", help="send text instead of messages")
    args = parser.parse_args()
    server.HEARTBEAT_SECONDS = args.heartbeat
    signal.signal(signal.SIGINT, lambda *_: None)
    stdin, stdout = private_pipes()
    if args.garbage:
        stdout.write(b"Welcome to this machine!\n")
        stdout.flush()
        stdin.read()
        leave(0)
    serve(stdin, stdout, FakeHost(args.load, args.unavailable))


if __name__ == "__main__":
    main()
