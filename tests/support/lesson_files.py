"""Writes the files of a lesson into a folder."""

from __future__ import annotations

from pathlib import Path


def write(folder: Path, place: str, toml: str, body: str = "Text.\n") -> Path:
    """The lesson's folder, `place` under `folder` (such as tier1/tokens)."""
    lesson = folder / place
    lesson.mkdir(parents=True, exist_ok=True)
    (lesson / "lesson.toml").write_text(toml, encoding="utf-8")
    (lesson / "lesson.md").write_text(body, encoding="utf-8")
    return lesson
