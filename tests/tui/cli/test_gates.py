"""Nothing that is printed on stderr steers the terminal, wherever it came from."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_holes.tui.cli import commands
from llm_holes.tui.cli import main as cli
from tests.support.foreign import PAYLOADS, assert_harmless

COMMANDS = (
    ["{}"], ["--{}"], ["list", "{}"], ["run", "{}"], ["run", "tokens", "{}"], ["run", "tokens", "--set", "{}"],
    ["run", "tokens", "--set", "{}=1"], ["run", "tokens", "--preset", "{}"], ["--lesson", "{}"],
    ["--threads", "{}", "list"], ["--engine", "{}", "run", "tokens"], ["replay", "{}"], ["progress", "--import", "{}"],
    ["check", "{}"], ["notebook", "--out", "/nowhere/{}"], ["new", "{}", "--under", "tokens"],
    ["new", "a-lesson", "--under", "{}"],
)  # fmt: skip


def told(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        status = cli.main(arguments)
    except SystemExit as error:
        status = int(error.code or 0)
    captured = capsys.readouterr()
    assert status in {1, 2}
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_argument_is_echoed_as_it_is(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    for payload in PAYLOADS:
        assert_harmless(told([part.format(payload) for part in command], capsys))


@given(
    command=st.sampled_from(COMMANDS[:5]),
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generated_arguments_are_harmless(command: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert_harmless(told([part.format("x" + text) for part in command], capsys))


def test_an_error_nobody_expected_is_a_harmless_traceback_and_a_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> int:
        raise RuntimeError("boom \x1b[2J \u202e")

    monkeypatch.setattr(commands, "print_list", fail)
    err = told(["list"], capsys)
    assert_harmless(err)
    assert "boom ␛[2J ‹202e›" in err
