"""Folders for the time of a run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_holes.engine import scratch
from llm_holes.engine.scratch import scratch_folder


def test_a_folder_of_a_killed_process_is_swept_and_one_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "gettempdir", lambda: str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, young, own, other = (
        tmp_path / name
        for name in (
            f"llm-holes-{ended.pid}-abc",
            f"llm-holes-{ended.pid}-def",
            f"llm-holes-{os.getpid()}-abc",
            "llm-holes-mine",
        )
    )
    for folder in (left, young, own, other):
        (folder / "in it").mkdir(parents=True)
        if folder != young:
            os.utime(folder, (time.time() - 7200,) * 2)
    with scratch_folder() as made:
        assert made.is_dir()
        assert made.name.startswith(f"llm-holes-{os.getpid()}-")
    assert [folder.exists() for folder in (left, young, own, other, made)] == [False, True, True, True, False]
