"""Foreign text in the files of a learner and of a model, all the way to the screen, stderr, text and JSON."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from unicodedata import category

import msgspec
import pytest

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.engine.ipc import client
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.learner.events import Answered, Named, Predicted, Probed, Ran, Record, Resume
from llm_holes.lessons.notebook import notebook
from llm_holes.lessons.notebook.notebook import Drawn, Entry, Model, sealed
from llm_holes.lessons.tier1.memory.memory_store import MemoryStore
from llm_holes.tui.cli import main as cli
from llm_holes.tui.cli.run import result_json, result_text
from llm_holes.tui.state.kept_runs import MadeRun, keep
from tests.support import lessons, tiny_gguf
from tests.support.foreign import ALL, PAYLOADS, STACKED, assert_harmless
from tests.support.paths import SUPPORT
from tests.support.processes import running, within
from tests.support.terminal import Terminal
from tests.support.tiny_families import write_family

NAME = ALL.replace("/", "")
"""What a file can be called."""
FOREIGN_RUNS: tuple[tuple[str, dict[str, object]], ...] = (
    ("memory", {"keep": True, "text": f"My dog is called Waffle. {ALL}", "max_new_tokens": 1, "turns": 2}),
    ("skills", {"own_files": True, "text": f"/own {ALL}", "max_new_tokens": 1}),
    ("skills", {"own_files": True, "text": ALL, "max_new_tokens": 1}),
    ("tokens", {"text": ALL, "prompt": ALL, "word": "y"}),
)


def write_progress(state: Path) -> None:
    at = 1e9
    events = (
        Ran(lesson=ALL, at=at),
        Ran(lesson="tokens", at=at),
        Predicted(lesson="tokens", answer=1, said=ALL, confidence=70, bet=ALL, settings={ALL: ALL}, at=at, id="p"),
        Answered(lesson="tokens", question=ALL, option=0, said=ALL, right=False, was=ALL, confidence=90, at=at),
        Probed(lesson="find-the-hole", probe=ALL[:200], saw=ALL, at=at),
        Named(lesson="find-the-hole", said=ALL, truth=ALL, score=1, probes=1, at=at),
    )
    there = Resume(lesson="memory", at=at, settings=dict(FOREIGN_RUNS[0][1]))  # type: ignore[arg-type]
    (state / "progress.json").write_bytes(msgspec.json.encode(Record(events=events, resume=there)))


def write_notebook(state: Path) -> Path:
    entry = Entry(
        lesson="tokens",
        title=ALL,
        settings={"text": ALL, ALL: ALL},
        measured={ALL: ALL, "list": [ALL], "map": {ALL: ALL}},
        model=Model(ALL, ALL, ALL, 1, ALL),
        versions={ALL: ALL},
        captions=(ALL,),
        views=(Drawn(ALL, ALL),),
        time=ALL,
        id=ALL,
    )
    lines = [
        msgspec.json.encode(sealed(entry)),
        msgspec.json.encode(sealed(msgspec.structs.replace(entry, lesson=ALL))),
    ]
    path = state / notebook.FILE
    path.write_bytes(b"\n".join([*lines, ALL.encode(), b""]))
    return path


def write_skill(state: Path, name: str, text: str) -> None:
    (state / "skills" / name).mkdir(parents=True)
    (state / "skills" / name / "SKILL.md").write_bytes(text.encode())


def write_memories(state: Path) -> None:
    path = MemoryStore(state).path
    with sqlite3.connect(path) as connection:
        connection.executemany("INSERT INTO memories (text) VALUES (?)", [(text,) for text in PAYLOADS])


@pytest.fixture
def learner(state: Path) -> Path:
    """The folder of a learner in all of whose files somebody else has written."""
    state.mkdir()
    write_progress(state)
    write_notebook(state)
    line = ALL.replace("\r", "").replace("\u2028", "")
    write_skill(state, "own", f"---\nname: own\ndescription: {line}\n---\n{ALL}\n")
    write_skill(state, "bad", f"---\nname: {line}\n---\n")
    write_skill(state, NAME, "")
    write_memories(state)
    return state


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with foreign text in its folder's name and in the parts of its config that say who it is."""
    made = write_family(tmp_path_factory.mktemp("models") / NAME, "llama-rope3", 1024)
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps({**config, "_name_or_path": ALL, "torch_dtype": "float32"}))
    return made


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command wrote on stdout and stderr."""
    cli.main(arguments)
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_no_command_prints_what_is_in_a_file_as_it_is(
    learner: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "command_for", lambda *args: [sys.executable, str(SUPPORT / "fake_engine.py")])
    for command in (["notebook"], ["notebook", "--markdown"], ["notebook", "--json"], ["progress"]):
        assert_harmless(printed(capsys, *command))
    for command in (["progress", "--json"], ["replay", str(learner / notebook.FILE)]):
        assert_harmless(printed(capsys, *command))
    assert_harmless(printed(capsys, "replay", str(learner / notebook.FILE), "--json"))
    printed(capsys, "notebook", "--markdown", "--out", str(tmp_path / "out.md"))
    assert_harmless((tmp_path / "out.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("damage", [ALL.encode(), b'{"format": "%s"}' % ALL.encode(), b"\xff\x1b[2J"])
def test_a_file_of_something_else_is_told_of_harmlessly(
    damage: bytes, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.mkdir()
    for name in ("progress.json", notebook.FILE):
        (state / name).write_bytes(damage)
    for command in (["progress"], ["notebook"], ["replay", str(state / notebook.FILE)]):
        assert_harmless(printed(capsys, *command))


def write_config(folder: Path, **keys: object) -> None:
    tiny_gguf.write_folder(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **keys}))


def write_to_hub_cache(hub: Path, name: str, **config: object) -> Path:
    folder = hub / f"models--them--{name}" / "snapshots" / ("0" * 40)
    write_config(folder, **config)
    return folder


def test_what_a_model_says_of_itself_is_listed_and_refused_harmlessly(
    tmp_path: Path, home: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "hub"
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    write_to_hub_cache(hub, "named", architectures=[ALL], _name_or_path=ALL)
    refused = write_to_hub_cache(hub, "type", model_type=ALL)
    write_to_hub_cache(hub, "activation", hidden_act=ALL)
    write_to_hub_cache(hub, "width", hidden_size=ALL)
    write_to_hub_cache(hub, "rope", rope_scaling={"rope_type": ALL, "factor": 2.0})
    tiny_gguf.write_gguf(file := tmp_path / f"{NAME[:60]}.gguf", keys={"general.name": ALL})
    store.locate(str(file), lambda status: None)
    listed = printed(capsys, "models")
    assert listed.count("would not run") == 4
    assert listed.count("202e") >= 6
    assert_harmless(listed)
    assert_harmless(printed(capsys, "models", "--json"))
    command = ["llm-holes", "run", "tokens", "--model", str(refused)]
    done = subprocess.run(command, env=home, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert "202e" in done.stderr.decode()
    assert_harmless(done.stderr.decode())


def test_a_run_on_foreign_text_is_harmless_as_text_and_as_json(learner: Path, folder: Path) -> None:
    engine = Engine.load(store.locate(str(folder), lambda status: None), threads=1)
    for lesson, settings in FOREIGN_RUNS:
        made = MadeRun({ALL: ALL}, engine.info, tuple(lessons.run(engine, lesson, **settings)), dict(settings), 1.0)
        assert_harmless(result_text(made))
        assert_harmless(result_json(lesson, made))
        assert keep(catalog.load()[lesson], made) == ""
    entries, _ = notebook.read()
    for entry in entries[-len(FOREIGN_RUNS) :]:
        for view in entry.views:
            assert_harmless(view.text)
            assert_harmless(view.svg)


def test_the_screen_gets_none_of_it(learner: Path, folder: Path, home: dict[str, str], tmp_path: Path) -> None:
    with Terminal(
        ["llm-holes", "--threads", "1", "--model", str(folder)], {**home, "LLM_HOLES_STATE": str(learner)}
    ) as t:
        t.until("ready", 60)
        t.keys("\x1b")
        t.keys("r")
        t.until("Waffle", 60)
        for key in ("[", "[", "]", "n", "v", "\x1b", "m", "e", "\x1b", "?", "\x1b", "S"):
            t.keys(key)
            for _ in range(4):
                t.read()
        t.keys("\x11")
        assert t.status(20) == 0
        shown = t.output.decode()
    assert within(2, lambda: not running(f"MARK={tmp_path}"))
    for payload in PAYLOADS:
        assert payload not in shown or payload.isprintable(), repr(payload)
    assert not {c for c in shown if category(c) in {"Cf", "Cs", "Co", "Zl", "Zp"} or 0x80 <= ord(c) < 0xA0}
    assert not STACKED.search(shown)
    assert "‹202e›" in shown
