"""constraints.txt says one version for everything that is asked for, one that is allowed."""

from __future__ import annotations

import tomllib

from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.paths import ROOT


def pinned() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {name.lower().replace("_", "-"): Version(version) for name, version in pairs}


def asked_for() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["test"])]


def test_every_requirement_has_one_version_inside_its_range() -> None:
    found = pinned()
    # pip is what installs the rest
    missing = [
        str(r) for r in asked_for() if r.name != "pip" and found.get(r.name.replace("_", "-")) not in r.specifier
    ]
    assert missing == []


def test_no_version_is_for_one_platform_only() -> None:
    assert [name for name, version in pinned().items() if version.local] == []
