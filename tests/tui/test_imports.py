"""What the first screen leaves to be imported later."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "markdown_it",
        "numpy",
        "llm_holes.engine.model.config",
        "llm_holes.lessons.learner",
        "llm_holes.tui.screens.help",
        "llm_holes.tui.views.heatmap",
        "llm_holes.tui.views.widgets",
    ],
)
def test_the_first_screen_does_not_wait_for(module: str, imported: frozenset[str]) -> None:
    assert module not in imported


@pytest.fixture(scope="module")
def imported() -> frozenset[str]:
    code = "import sys, llm_holes.tui.terminal.driver, llm_holes.tui.app; print(*sys.modules)"
    return frozenset(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
