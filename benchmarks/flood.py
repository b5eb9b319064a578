"""The app on an engine that sends a thousand frames a second, of maps of 64 × 64 cells, for as long as a run is not
stopped: `python benchmarks/flood.py`, in a terminal. `key_latency.py --flood` measures it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from drawing import attention
from msgspec import structs
from opening import Silent

from llm_holes.engine.frames import Frame
from llm_holes.engine.ipc.messages import HEADER, Cancelled, Framed, ModelInfo, Ready, Request, Run, decode_reply, pack
from llm_holes.tui.app import HolesApp
from llm_holes.tui.terminal.terminal import run_app

PER_SECOND = 1000
MODEL = ModelInfo(
    n_layers=30,
    d_model=576,
    n_heads=9,
    n_kv_heads=3,
    d_head=64,
    d_mlp=1536,
    d_vocab=49152,
    n_ctx=8192,
    tied_embeddings=True,
    parameters=134_515_008,
    weight_format="none",
    threads=1,
    name="flood",
    path="",
    sha256="",
    dtype="float32",
)


class Flood(Silent):
    def __init__(self, on_reply: Any) -> None:
        self._on_reply, self._task = on_reply, asyncio.Future[None]()

    async def start(self) -> None:
        self._on_reply(Ready(MODEL))

    def send(self, request: Request) -> None:
        self._task.cancel()
        if isinstance(request, Run):
            self._task = asyncio.ensure_future(self._flood(request.id))
        else:
            self._on_reply(Cancelled(request.id))

    async def _flood(self, run: int) -> None:
        """The same few maps over and over, each decoded anew as if it had come through the pipe."""
        maps = [structs.replace(attention(n), key="whom it looks at") for n in range(20)]
        messages = [pack(Framed(run, Frame(f"map {n}", (view,)))) for n, view in enumerate(maps)]
        sent, began = 0, time.perf_counter()
        while True:
            while sent < (time.perf_counter() - began) * PER_SECOND:
                self._on_reply(decode_reply(messages[sent % len(messages)][HEADER.size :]))
                sent += 1
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    run_app(lambda: HolesApp([], "attention", link=Flood))
