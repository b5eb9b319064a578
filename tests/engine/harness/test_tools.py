"""The tools: exact, bounded, and never led outside by what they are given."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_holes.engine.errors import InputError
from llm_holes.engine.harness import calls, tools
from llm_holes.engine.harness.calculator import MAX_BITS, calculate
from llm_holes.engine.harness.sandbox import MAX_BYTES, read_text

NUMBERS = st.integers(0, 10**12).map(str)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", " - ", "*", "//", " % "]), inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS)
def test_the_calculator_agrees_with_python(expression: str) -> None:
    try:
        expected: int | None = eval(expression)  # of the generator above, never of a model
    except ZeroDivisionError:
        expected = None
    if expected is None:
        with pytest.raises(InputError, match="division by zero"):
            calculate(expression)
    else:
        assert calculate(expression) == expected


@pytest.mark.parametrize(
    ("expression", "value"),
    [("-2**2", -4), ("2**3**2", 512), ("2 ** -0", 1), ("6 / 3", 2), ("347 × 892", 309524), ("7 ^ 2", 49),
     ("1**9**9", 1), ("(-1)**(10**100+1)", -1), ("0**0", 1)],
)  # fmt: skip
def test_powers_and_signs_bind_as_in_mathematics(expression: str, value: int) -> None:
    assert calculate(expression) == value


@given(st.integers(-99, 99), st.integers(0, 10**30))
def test_a_power_is_exact_or_refused_before_it_is_computed(base: int, exponent: int) -> None:
    try:
        assert calculate(f"({base})**{exponent}") == base**exponent
    except InputError:
        assert abs(base) > 1
        assert exponent * 7 > MAX_BITS


@given(st.text(max_size=40))
def test_whatever_is_typed_gives_a_number_or_a_refusal(text: str) -> None:
    with contextlib.suppress(InputError):
        assert isinstance(calculate(text), int)


@pytest.mark.parametrize(
    ("expression", "why"),
    [("7/2", "not a whole number"), ("1/0", "division by zero"), ("2**-1", "negative power"), ("9**9**9", "bits"),
     ("1 2", "not expected"), ("(1", "not closed"), ("", "missing"), ("__import__('os')", "not arithmetic"),
     ("٣+1", "not arithmetic"), ("(" * 100 + "1" + ")" * 100, "longer"), ("-" * 100 + "1", "nested"),
     ("1 + ", "missing")],
)  # fmt: skip
def test_what_is_no_whole_number_arithmetic_is_refused(expression: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        calculate(expression)


def run(tool: tools.Tool, **arguments: str) -> tools.Result:
    return tools.run_tool(tool, tool.arguments(**arguments))


def test_the_small_tools_tell_the_truth() -> None:
    now = datetime(2026, 3, 1, 14, 5, tzinfo=UTC)
    assert run(tools.clock(lambda: now)).text == "Sunday, 01 March 2026, 14:05"
    assert run(tools.text_stats(), text="strawberry pie").text.startswith("2 words, 14 characters; letters: r 3, ")
    table = tools.lookup(tools.table_of("pear = 3\n melon=  7 \nno entry\n= 4"))
    assert run(table, key=" Melon ").text == "7"
    missing = run(table, key="gold")
    assert missing.refused
    assert missing.text == "error: no entry 'gold'; the table has: pear, melon"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "sandbox"
    (inside / "deep").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (inside / "notes.txt").write_text("Buy tea.")
    (inside / "deep" / "x.txt").write_text("deep")
    (inside / "long.txt").write_bytes(b"a" * (MAX_BYTES + 5))
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "inner.txt").symlink_to("notes.txt")
    (inside / "up").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe")
    return inside


def test_files_of_the_folder_can_be_read(folder: Path) -> None:
    assert read_text(folder, "notes.txt") == "Buy tea."
    assert read_text(folder, "deep/x.txt") == "deep"
    assert len(read_text(folder, "long.txt")) == MAX_BYTES


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "deep/../../secret.txt", "/etc/passwd", "link.txt", "inner.txt", "up/secret.txt", "deep", "pipe",
     "./notes.txt", "deep//x.txt", "", "notes.txt\0.png", "\ud800", "a/" * 20, "notes.txt/x"],
)  # fmt: skip
def test_whatever_leads_elsewhere_is_refused_and_says_so(folder: Path, path: str) -> None:
    result = run(tools.read_file(folder), path=path)
    assert result.refused
    assert result.text.startswith("error: refused")
    assert "secret" not in result.text.replace("secret.txt", "")


def test_a_missing_file_is_no_attack(folder: Path) -> None:
    assert run(tools.read_file(folder), path="nope.txt").text == "error: there is no file 'nope.txt'"


@given(st.text(st.characters(), max_size=80))
def test_a_result_is_bounded_and_has_nothing_invisible(text: str) -> None:
    shown = tools.as_data(text, 50)
    assert all(c == "\n" or c.isprintable() for c in shown)
    assert len(shown) <= 50 + len(" … (shortened)")
    if text.isprintable() and len(text) <= 50:
        assert shown == text


ALL = [tools.calculator(), tools.clock(), tools.lookup({"a": "1"})]


@pytest.mark.parametrize(
    ("text", "name"),
    [('{"name": "calculator", "arguments": {"expression": "1+1"}}', "calculator"),
     (' <tool_call>\n{"arguments":{},"name":"clock"}\n</tool_call> ', "clock")],
)  # fmt: skip
def test_a_call_is_read(text: str, name: str) -> None:
    found = calls.parse(text, ALL)
    assert isinstance(found, calls.Call)
    assert found.tool.name == name


@pytest.mark.parametrize(
    "text",
    ['{"name": "shell", "arguments": {"command": "rm"}}', '{"name": "clock", "arguments": {"x": 1}}', "{", "{}",
     '{"name": "lookup", "arguments": {"key": 5}}', '{"name": "lookup", "arguments": {"key": "' + "k" * 49 + '"}}',
     '{"name": "clock", "arguments": {}} and then', '{"name": "clock", "arguments": {}, "why": "?"}', '{"a":' * 5000],
)  # fmt: skip
def test_what_is_almost_a_call_runs_nothing(text: str) -> None:
    assert isinstance(calls.parse(text, ALL), calls.Fault)


@pytest.mark.parametrize("text", ["The answer is 4.", "", 'Call {"name": "clock", "arguments": {}} now.'])
def test_ordinary_text_is_no_call_even_if_it_quotes_one(text: str) -> None:
    assert calls.parse(text, ALL) is None
