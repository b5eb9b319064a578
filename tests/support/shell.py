"""What a shell makes of a command."""

from __future__ import annotations

import subprocess


def words(command: str) -> list[str]:
    """The command's words, as a program would get them."""
    script = f"printf '%s\\0' {command}"
    said = subprocess.run(["bash", "-c", script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    return said.stdout.decode().split("\0")[:-1]
