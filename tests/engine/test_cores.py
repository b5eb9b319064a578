"""How many threads a model gets where others use the machine too, or where a limit is set."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_holes.engine import control_groups, cores
from llm_holes.engine.cores import Cores, allowed

Groups = Callable[[str], Iterator[Path]]


@pytest.fixture
def eight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with eight cores, of which this process does nothing on its own, and its file of what they did."""
    monkeypatch.setattr(cores, "_cores", lambda: set(range(8)))
    monkeypatch.setattr(cores, "groups", lambda controller: iter(()))
    monkeypatch.setattr(cores.time, "process_time", lambda: 1.0)
    monkeypatch.setattr(cores, "STAT", tmp_path / "stat")
    return tmp_path / "stat"


def did(stat: Path, busy: int, ticks: int = 0) -> None:
    """So many of the ten cores there are have worked for the last `ticks`, the others not."""
    lines = [f"cpu{n} {100 + ticks * (n < busy)} 0 0 {100 + ticks * (n >= busy)} 0 0 0 0 0 0" for n in range(10)]
    stat.write_text("\n".join(["cpu 1 1 1 1 1 1 1 1 1 1", *lines, "intr 5"]))


@pytest.mark.parametrize(("busy", "threads"), [(0, 7), (3, 4), (7, 1), (8, 1), (10, 1)])
def test_a_thread_for_each_core_that_is_free_but_one(eight: Path, busy: int, threads: int) -> None:
    did(eight, busy)
    watched = Cores()
    did(eight, busy, 200)
    assert watched.threads() == threads


def test_what_this_process_does_itself_counts_as_free(eight: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    did(eight, 4)
    monkeypatch.setattr(cores.time, "monotonic", lambda: 10.0)
    watched = Cores()
    did(eight, 4, 200)
    monkeypatch.setattr(cores.time, "monotonic", lambda: 12.0)
    monkeypatch.setattr(cores.time, "process_time", lambda: 3.0)
    assert watched.threads() == 4


@pytest.mark.parametrize("said", ["", "cpu 0 0 0 0", "cpu0 0 0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0", None])
def test_where_the_system_does_not_say_what_its_cores_do_all_count_as_free(eight: Path, said: str | None) -> None:
    if said is not None:
        eight.write_text(said)
    assert Cores().threads() == 7


@pytest.mark.parametrize(
    ("files", "cores_worth"),
    [
        ({"cpu.max": "250000 100000"}, 2.5),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"}, 0.5),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, 8),
        ({}, 8),
    ],
)
def test_the_quota_of_a_control_group_of_either_version_is_heeded(
    eight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores_worth: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n")
    version = "" if "cpu.max" in files else "cpu"
    monkeypatch.setattr(cores, "groups", lambda controller: iter([tmp_path] if controller == version else []))
    assert allowed() == cores_worth
    assert Cores().threads() == max(1, round(cores_worth) - 1)


def test_the_groups_of_a_process_are_its_own_and_those_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_groups, "ROOT", tmp_path)
    monkeypatch.setattr(control_groups, "OWN", tmp_path / "own")
    (tmp_path / "own").write_text("4:memory:/\n2:cpu,cpuacct:/class/ada\n0::/user\n")
    assert list(control_groups.groups("cpu")) == [tmp_path / "cpu" / p for p in ("class/ada", "class", "")]
    assert list(control_groups.groups("")) == [tmp_path / "user", tmp_path]


@pytest.mark.skipif(sys.platform != "linux", reason="no other system has an affinity")
def test_a_process_that_is_held_on_one_core_has_one_thread() -> None:
    held = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
    asked = "from llm_holes.engine.cores import Cores, allowed; print(allowed(), Cores().threads())"
    done = subprocess.run([sys.executable, "-c", held + asked], capture_output=True, text=True, check=True)
    cores_worth, threads = done.stdout.split()
    assert float(cores_worth) <= 1
    assert threads == "1"
