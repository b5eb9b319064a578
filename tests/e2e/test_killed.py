"""A client killed in the middle of surgery leaves the model on disk as it was, for everyone else."""

from __future__ import annotations

import os
import signal
import zlib
from pathlib import Path

from llm_holes.engine.checkpoint.installed import ModelFiles
from llm_holes.engine.ipc.messages import Run
from tests.support.talk import Talk


async def test_killed_in_the_middle_of_surgery_the_file_is_as_it_was(engine: Talk, model_files: ModelFiles) -> None:
    (weights,) = Path(model_files.folder).glob("*.safetensors")
    before, written = zlib.crc32(weights.read_bytes()), weights.stat().st_mtime_ns
    engine.client.send(Run(1, "model-layers", {"skip": "0", "kl_tokens": 64}))
    await engine.first_frame(1)
    os.kill(engine.pid, signal.SIGKILL)
    await engine.died(2)
    assert (zlib.crc32(weights.read_bytes()), weights.stat().st_mtime_ns) == (before, written)
