"""Skill files: read, refused, expanded."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_holes.engine.errors import InputError
from llm_holes.lessons.tier2.skills.skill_files import (
    MAX_BYTES,
    SHIPPED,
    called,
    command,
    expanded,
    found,
    listing,
    load,
    seed,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    seed(tmp_path / "skills")
    return tmp_path / "skills"


def write(folder: Path, name: str, data: bytes) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "SKILL.md").write_bytes(data)


def test_the_shipped_skills_are_skills_and_edits_are_kept(folder: Path) -> None:
    skills, notices = found(folder)
    assert [skill.name for skill in skills] == sorted(SHIPPED)
    assert notices == []
    write(folder, "haiku", b"---\r\nname: haiku\r\ndescription: mine: now\r\n---\r\nDo it.\r\n")
    seed(folder)
    mine = load(folder, "haiku")
    assert (mine.description, mine.body) == ("mine: now", "Do it.")
    assert expanded(mine, "rain") == "Do it. rain"
    assert "- haiku: mine: now" in listing([mine])
    assert "Do it" not in listing([mine])


@pytest.mark.parametrize(
    ("typed", "name"),
    [("/haiku rain", ("haiku", "rain")), ("/haiku", ("haiku", "")), ("a / b", None), ("/ x", ("", "x")), ("", None)],
)
def test_commands(typed: str, name: tuple[str, str] | None) -> None:
    assert command(typed) == name


@pytest.mark.parametrize("name", ["../secret", "..", "", "/etc", "a/b", "A", "x" * 65])
def test_no_name_leads_out_of_the_folder(folder: Path, name: str) -> None:
    write(folder.parent, "secret", b"---\nname: secret\ndescription: d\n---\nb")
    with pytest.raises(InputError, match="cannot be a skill's name"):
        load(folder, name)
    assert called(folder, found(folder)[0], name) is None, "nobody's command, so plain text"


def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    outside = folder.parent / "secret.md"
    outside.write_text("---\nname: leak\ndescription: d\n---\nsecret")
    (folder / "leak").mkdir()
    (folder / "leak" / "SKILL.md").symlink_to(outside)
    with pytest.raises(InputError, match="leads out"):
        load(folder, "leak")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"no front matter", "no front matter"),
        (b"", "no front matter"),
        (b"---\nname: bad\ndescription: d\n", "no front matter"),
        (b"---\nname: other\ndescription: d\n---\nb", "does not say name"),
        (b"---\nname: bad\n---\nb", "lacks a description"),
        (b"---\nname: bad\ndescription: d\n---\n \n", "lacks a description"),
        (b"---\nname: bad\ndescription: d\ncheck: many lines\n---\nb", "check that cannot be read"),
        (b"---\nname: bad\ndescription: \xff\n---\nb", "UTF-8"),
        (b"x" * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_a_bad_file_is_named_and_the_others_still_work(folder: Path, data: bytes, what: str) -> None:
    write(folder, "bad", data)
    skills, notices = found(folder)
    assert [skill.name for skill in skills] == sorted(SHIPPED)
    assert len(notices) == 1
    assert "bad/SKILL.md" in notices[0]
    with pytest.raises(InputError, match=what):
        called(folder, skills, "bad")
