"""The command line: what it prints, where it prints it, and how it ends. The engine is a fake one without a model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llm_holes.engine.frames import Frame, Value
from llm_holes.engine.ipc import client
from llm_holes.lessons.catalog import catalog
from llm_holes.tui.cli import commands, doctor
from llm_holes.tui.cli import main as cli
from llm_holes.tui.cli import run as runs
from llm_holes.tui.state.kept_runs import MadeRun
from tests.support.clock import AtMost
from tests.support.fake_engine import MODEL, gallery
from tests.support.paths import SUPPORT
from tests.support.processes import running, within

FAKE = SUPPORT / "fake_engine.py"
LESSON = next(iter(catalog.load().lessons.values()))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts the fake engine in the real one's place; options may be appended to the returned command."""
    command = [sys.executable, str(FAKE)]
    monkeypatch.setattr(client, "command_for", lambda *_: list(command))
    return command


def test_list_shows_every_lesson_under_its_parent(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(catalog.load().lessons)
    for line, lesson in zip(lines, catalog.load().lessons.values(), strict=True):
        depth = len(catalog.load().trail(lesson.id)) - 1
        assert line.startswith("  " * depth + lesson.id + " ")
        assert line.endswith(f"({lesson.data.minutes} min)")


def test_list_as_json_says_what_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--json"]) == 0
    entries = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries.keys() == catalog.load().lessons.keys()
    assert [c["name"] for c in entries[LESSON.id]["controls"]] == [c.name for c in LESSON.controls]
    assert [p["name"] for p in entries[LESSON.id]["presets"]] == [p.name for p in LESSON.presets]


def test_a_run_without_a_frame_tells_what_it_does() -> None:
    told: list[tuple[str, float | None]] = []
    made = runs.run([sys.executable, str(FAKE), "--heartbeat", "0.05"], "silent", {}, lambda *said: told.append(said))
    assert [frame.caption for frame in made.frames] == ["at last"]
    pieces = [text for text, share in told if share is None and text.startswith("piece")]
    assert len(set(pieces)) > 2
    assert all(text.endswith(" of 50") for text in pieces)


def test_run_on_a_silent_engine_fails_with_a_sentence(
    fake: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(client, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(client, "WATCH_SECONDS", 0.1)
    fake[:] = ["sleep", "60"]
    assert cli.main(["run", LESSON.id]) == 1
    assert "The engine has said nothing for" in capsys.readouterr().err


def test_run_prints_the_last_frame(fake: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", LESSON.id]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Step 3 of 3.")
    assert "Step 1" not in captured.out
    assert "\x1b" not in captured.out
    assert captured.err == ""


def test_run_as_json_prints_one_object_with_everything(fake: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    control = next(control for control in LESSON.controls if control.kind == "text")
    assert cli.main(["run", LESSON.id, "--set", f"{control.name}=a=b", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1
    result = json.loads(captured.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert result.keys() >= {"lesson", "model", "settings", "seed", "measured", "frames", "versions"}
    assert result["lesson"] == LESSON.id
    assert result["model"]["n_layers"] == 30
    assert result["settings"][control.name] == "a=b"
    assert result["seed"] is None
    assert result["measured"] == {"step": 3, "ms_per_token": 12.5, "answer": "Paris", "spread": None}
    assert [frame["caption"] for frame in result["frames"]] == ["Step 1 of 3.", "Step 2 of 3.", "Step 3 of 3."]
    assert "torch" in result["versions"]


def test_a_preset_is_where_settings_start(fake: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    preset = LESSON.presets[0]
    assert cli.main(["run", LESSON.id, "--preset", preset.name, "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert settings.items() >= preset.settings.items()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", LESSON.id + "x"], f"Did you mean {LESSON.id}"),
        (["run", "xyzzy"], "llm-holes list"),
        (["run", LESSON.id, "--set", "nonsense=1"], LESSON.controls[0].name),
        (["run", LESSON.id, "--set", "nonsense"], "NAME=VALUE"),
        (["run", LESSON.id, "--preset", "nonsense"], LESSON.presets[0].name),
        (["run", "kv-cache", "--set", "max_new_tokens=0"], "between 1 and"),
        (["run", "kv-cache", "--set", "max_new_tokens=many"], "whole number"),
        (["--engine", "telnet://x", "run", LESSON.id], "ssh://"),
        (["--lesson", "xyzzy"], "llm-holes list"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No engine is needed to know: none is started here."""
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("llm-holes: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


@pytest.mark.parametrize(("lesson", "status"), [("refused", 2), ("broken", 1), ("out-of-memory", 1), ("crash", 1)])
def test_what_the_engine_says_decides_the_status(
    lesson: str, status: int, fake: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        commands, "_find", lambda _: catalog.Lesson(lesson, "", "", 0, 0, "", LESSON.place, LESSON.toml)
    )
    assert cli.main(["run", lesson, "--json"]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("llm-holes: ")
    assert "Traceback" not in captured.err


def test_a_value_that_is_no_text_is_a_wrong_request(fake: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What Python makes of bytes on the command line that are not UTF-8."""
    assert cli.main(["run", "tokens", "--set", "text=\udcff"]) == 2
    assert "UTF-8" in capsys.readouterr().err


def test_without_a_model_the_reason_and_the_way_out_are_told(
    fake: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fake.append("--unavailable")
    assert cli.main(["run", LESSON.id]) == 1
    err = capsys.readouterr().err
    assert "There is no fake model." in err
    assert "Start the fake without --unavailable." in err


def test_doctor_reports_and_fails_with_any_failed_check(
    fake: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("COLORTERM")
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    for fact in ("torch", "TERM xterm-256color", "colours 256", "Fake-1M", "0" * 64, "threads"):
        assert fact in out
    monkeypatch.setattr(doctor, "failures", lambda frame: ["parity"])
    assert cli.main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["failed"] == ["parity"]
    assert report["passed"] is False


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "alacritty"}, "256"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "alacritty", "COLORTERM": "truecolor"}, "16.7 million"),
    ],
)
def test_doctor_tells_the_colours_the_app_will_use(environment: dict[str, str], colours: str) -> None:
    assert doctor.terminal_facts(environment)["colours"] == colours


def test_doctor_finds_the_failed_rows() -> None:
    from llm_holes.engine.frames import Frame, Table

    table = Table("checks", ("check", "figure", "result"), (("parity", 1e-5, "ok"), ("undo", 0.5, "FAILED")))
    assert doctor.failures(Frame("", (table,))) == ["undo"]
    assert doctor.failures(gallery(1, 3)) == []


def test_a_run_without_frames_is_not_a_passed_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "run", lambda *_: MadeRun({}, None, (), {}, 0.0))
    assert cli.main(["doctor"]) == 1


def command(*arguments: str) -> list[str]:
    """The command line as a process of its own, with the fake engine and any lesson id."""
    code = (
        "import signal, sys; from llm_holes.engine.ipc import client\n"
        "from llm_holes.tui.cli import commands, main as cli\n"
        # a test run started in the background hands down an ignored SIGINT
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"client.command_for = lambda *_: [sys.executable, {str(FAKE)!r}]\n"
        "from llm_holes.lessons.catalog import catalog\n"
        f"some = catalog.load()[{LESSON.id!r}]\n"
        "commands._find = lambda name: catalog.Lesson(name, '', '', 0, 0, '', some.place, some.toml)\n"
        "sys.exit(cli.main())"
    )
    return [sys.executable, "-c", code, *arguments]


def start(*arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(command(*arguments), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_interrupted_run_leaves_no_engine(number: int, status: int, tmp_path: Path, at_most: AtMost) -> None:
    mark = f"MARK={tmp_path}"
    with start("run", "busy", env={**os.environ, "MARK": str(tmp_path)}) as process:
        assert within(10, lambda: any(_is_engine(pid) for pid in running(mark)))
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert process.returncode == status
        assert (out, err) == ("", "")
        with at_most(1):
            assert within(10, lambda: not running(mark))


def _is_engine(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1] == bytes(FAKE)
    except (OSError, IndexError):
        return False


def test_a_reader_that_has_enough_is_no_error() -> None:
    with start("run", "gallery") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(10) == 141


def test_a_terminal_without_unicode_gets_what_it_can_show() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with start("run", "gallery", env=env) as process:
        out, err = process.communicate(timeout=20)
        assert (process.returncode, err) == (0, "")
        assert "??? 0.500" in " ".join(out.split())


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["list", "--json"], ["models"], ["notebook"], ["progress"], ["--help"], ["--version"],
     ["run", "gallery"], ["run", "gallery", "--json"], ["doctor"], ["doctor", "--json"]],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("output", ["full", "closed"])
def test_output_that_cannot_be_written_is_one_sentence(arguments: list[str], output: str, state: Path) -> None:
    # argparse keeps silent about it where nothing is buffered
    unbuffered = {} if arguments == ["--help"] else {"PYTHONUNBUFFERED": "1" if "--json" in arguments else ""}
    where = "> /dev/full" if output == "full" else ">&-"
    done = subprocess.run(
        ["sh", "-c", f'"$@" {where}', "sh", *command(*arguments)],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | unbuffered,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("llm-holes: the ")
    assert done.stderr.count("\n") == 1
    assert "output" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["list", b"\xff"], ["run", b"\xff"], ["run", "gallery", "--set", b"text=\xff"], ["--model", b"\xff", "doctor"]],
    ids=str,
)
def test_an_argument_that_is_no_text_is_one_sentence(arguments: list[str | bytes]) -> None:
    done = subprocess.run([*command(), *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("llm-holes: an argument is not UTF-8")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "2>/dev/full"])
def test_what_is_not_needed_may_be_closed(closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command("run", "gallery")], stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Step 3 of 3.")


@pytest.mark.parametrize("arguments", [[], ["doctor"]], ids=["app", "doctor"])
def test_a_system_without_unix_terminals_is_told_the_way(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "termios", None)
    for module in ("terminal", "restore"):
        monkeypatch.delitem(sys.modules, f"llm_holes.tui.terminal.{module}", raising=False)
    monkeypatch.delitem(sys.modules, "llm_holes.tui.cli.doctor", raising=False)
    monkeypatch.delattr("llm_holes.tui.cli.doctor", raising=False)
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert "WSL" in err
    assert err.count("\n") == 1


def test_the_command_line_imports_nothing_heavy() -> None:
    heavy = "{'textual', 'rich', 'msgspec', 'numpy', 'torch', 'asyncio', 'platformdirs'}"
    code = f"import llm_holes.tui.cli.main, sys; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_imports_neither_torch_nor_textual(tmp_path: Path) -> None:
    code = (
        "import sys, llm_holes.tui.cli.doctor, llm_holes.tui.draw.as_text, llm_holes.tui.cli.json\n"
        "print(sorted({'textual', 'torch', 'transformers', 'tiktoken', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_server_is_compared_with_a_model_here_and_nothing_else_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--beside", "SmolLM2-135M-Instruct"]) == 2
    assert "--engine https://host/v1" in capsys.readouterr().err


def test_what_a_server_says_otherwise_than_the_local_model_is_a_failed_check() -> None:
    def made(answer: str, p: float) -> MadeRun:
        measured: dict[str, Value] = {"text 1": answer, "text 1 chances": {" Paris": p}}
        return MadeRun({}, MODEL, (Frame("answers", measured=measured),), {}, 1.0)

    same = doctor.compared(made("", 0), made(" Paris", 0.77), made(" Paris", 0.7705)).frames[-1]
    assert doctor.failures(same) == []
    other = doctor.compared(made("", 0), made(" Paris", 0.77), made(" Lyon", 0.6)).frames[-1]
    assert len(doctor.failures(other)) == 2
    assert other.measured["largest difference of a chance"] == pytest.approx(0.17)
