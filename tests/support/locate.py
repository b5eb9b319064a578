"""`store.locate` in a process of its own, which prints each status and then the files or the error as JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

LOCATE = """
import json, sys, msgspec
import huggingface_hub.constants
huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = 1024  # so that a part of a tiny file reaches the disk
from llm_holes.engine.checkpoint import store
from llm_holes.engine.errors import ModelError
def report(status):
    print(json.dumps(msgspec.to_builtins(status)), flush=True)
try:
    print(json.dumps({"files": msgspec.to_builtins(store.locate(sys.argv[1] or None, report))}))
except ModelError as error:
    print(json.dumps({"error": str(error), "hint": error.hint}))
"""


def start(model: str, program: str = LOCATE, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, model], stdout=subprocess.PIPE, text=True, env=os.environ | environment
    )


def last(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it printed last, once it has ended."""
    out, _ = process.communicate(timeout=60)
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found
