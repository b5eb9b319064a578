"""Writes down what each Python process that is started with this folder in PYTHONPATH starts and changes on the disk:
a line in the file AUDIT names for each."""

from __future__ import annotations

import json
import os
import sys

STARTS = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn",
    "webbrowser.open",
}  # fmt: skip
CHANGES = {
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime",
    "shutil.move", "shutil.copyfile", "sqlite3.connect", "tempfile.mkstemp", "tempfile.mkdtemp",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_log = os.open(os.environ["AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITING or isinstance(path, int):
            return
    elif event not in STARTS | CHANGES:
        return
    where = os.getcwd()
    os.write(_log, (json.dumps([event, where, [_plain(argument) for argument in arguments]]) + "\n").encode())


def _plain(argument: object) -> object:
    if isinstance(argument, list | tuple):
        return [_plain(part) for part in argument]
    return os.fsdecode(argument) if isinstance(argument, str | bytes | os.PathLike) else None


sys.addaudithook(_note)
