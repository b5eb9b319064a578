"""The process that renders chat templates: `python -m llm_holes.engine.tokenizer.template_process PARENT`.

It reads requests and writes answers, a line of JSON each, with little memory, never longer than SECONDS for one, and
never longer than PARENT (the id of the process that started it) lives.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

from llm_holes.engine.orphan import signalled_as_orphan
from llm_holes.engine.tokenizer.template_environment import compiled
from llm_holes.engine.tokenizer.template_limits import MAX_MEMORY, MAX_PROMPT, SECONDS, Answer, Request

MAX_SAID = 1_000


def main() -> None:
    _end_with(int(sys.argv[1]))
    _limit_memory()
    out = sys.stdout.buffer
    out.write(b"{}\n")
    out.flush()
    for line in sys.stdin.buffer:
        # the default action ends the process, whatever it is busy with and whether or not somebody still waits for it
        signal.setitimer(signal.ITIMER_REAL, SECONDS + 1)
        answer = json.dumps(_answer(line))
        signal.setitimer(signal.ITIMER_REAL, 0)
        out.write(answer.encode() + b"\n")
        out.flush()


def _end_with(parent: int) -> None:
    """On Linux the kernel ends this process with its parent; elsewhere the end of its stdin and its timer do."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signalled_as_orphan(signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before
        sys.exit()


def _limit_memory() -> None:
    # what is written to; RLIMIT_AS would count the files that libraries map, which differ from system to system
    resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    # a stack that overflows must not leave a file
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(line: bytes) -> Answer:
    try:
        request: Request = json.loads(line)
        return _rendered(request)
    except (RecursionError, MemoryError, SyntaxError) as error:
        return {"fault": "large", "said": type(error).__name__}
    except Exception as error:
        return {"fault": "refused", "said": _said(error)}


def _rendered(request: Request) -> Answer:
    pieces: list[str] = []
    length = 0
    for piece in compiled(request["template"]).generate(**request["variables"]):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_PROMPT:
            return {"fault": "long"}
    return {"text": "".join(pieces)}


def _said(error: Exception) -> str:
    try:
        return f"{error!s:.{MAX_SAID}}"
    except (RecursionError, MemoryError):
        return type(error).__name__


if __name__ == "__main__":
    main()
