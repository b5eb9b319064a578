"""Frames as plain text and as JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from rich.cells import cell_len

from llm_holes.engine.frames import Array, Bars, Curve, Diff, Frame, Heatmap, Table, Text, Token, Tokens, View, series
from llm_holes.tui.cli.json import dumps, jsonable
from llm_holes.tui.draw.as_text import frame_text, view_text
from tests.support.fake_engine import gallery

HOSTILE = "a\x1b[2Jb\u202ec\x07d"


def test_a_frame_has_its_caption_views_and_measurements() -> None:
    text = frame_text(gallery(2, 3), 80)
    assert text.startswith("Step 2 of 3.\n\n")
    for title in ("tokens", "attention", "next token", "time", "costs", "answer"):
        assert f"\n\n{title}" in text
    assert "ms_per_token  12 ms" in text
    assert "spread        –" in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_page(width: int) -> None:
    assert max(map(cell_len, frame_text(gallery(1, 3), width).splitlines())) <= width


@pytest.mark.parametrize(
    "view",
    [
        Tokens(HOSTILE, (Token(1, HOSTILE.encode(), HOSTILE),), (0.5,), HOSTILE),
        Heatmap(HOSTILE, Array.of([[1.0]]), HOSTILE, HOSTILE, (HOSTILE,), (HOSTILE,), HOSTILE),
        Bars(HOSTILE, (HOSTILE,), (1.0,), HOSTILE),
        Curve(HOSTILE, (series(HOSTILE, [0, 1], [0, 1]),), HOSTILE, HOSTILE),
        Table(HOSTILE, (HOSTILE,), ((HOSTILE,),)),
        Text(HOSTILE, HOSTILE),
        Diff(HOSTILE, HOSTILE, "b", HOSTILE, HOSTILE),
    ],
)
def test_no_text_of_the_model_can_steer_the_terminal(view: View) -> None:
    frame = Frame(HOSTILE, (view,), {"answer": HOSTILE, "several": [HOSTILE], "named": {HOSTILE: HOSTILE}})
    for text in (frame_text(frame, 60), dumps(frame)):
        assert not any(character in text for character in "\x1b\u202e\x07")
    assert "a␛[2Jb‹202e›c␇d" in view_text(view, 200)


def test_a_map_wider_than_the_page_goes_on_below() -> None:
    values = np.zeros((2, 100))
    values[1, 99] = 1
    lines = view_text(Heatmap("map", Array.of(values), "from", "to"), 42).splitlines()
    axes = [index for index, line in enumerate(lines) if line.strip().startswith("to ")]
    assert len(axes) == 3, "forty columns fit beside the row's name, so a hundred take three parts"
    last_row = lines[axes[-1] - 1]
    assert last_row.startswith("1 ")
    assert last_row.index("█") == len("1 ") + 19


def test_an_empty_map_is_only_a_title() -> None:
    assert view_text(Heatmap("map", Array.of(np.zeros((0, 3)))), 40) == "map"


def test_measurements_are_written_by_their_names_and_safe() -> None:
    measured = {"ids": [1234567, 0.5, "x"], "parts": {"a": True, "b": math.nan}, "p_next": 0.98, "said": "a\x1b"}
    *_, said = frame_text(Frame("c", (), measured), 60).split("\n\n")
    values = [line.split(maxsplit=1)[1] for line in said.splitlines()]
    assert values == [
        "1,234,567, 0.5, x",
        "a yes, b –",
        "98 %",
        "a␛",
    ]


def test_json_is_strict_and_keeps_everything() -> None:
    frame = Frame(
        "caption",
        (
            Heatmap("map", Array.of([[1.5, math.nan], [math.inf, 4.0]])),
            Tokens("strip", (Token(7, b"\xe2\x80 a", "half"),)),
        ),
        {"nan": math.nan, "list": [1, 2.5], "flag": True},
        0.5,
    )
    back = json.loads(dumps(frame), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    heatmap, strip = back["views"]
    assert heatmap["type"] == "heatmap"
    assert heatmap["values"] == [[1.5, None], [None, 4.0]]
    assert strip["tokens"] == [{"id": 7, "text": "\\xe2\\x80 a", "bytes": "e2802061", "note": "half"}]
    assert back["measured"] == {"nan": None, "list": [1, 2.5], "flag": True}
    assert back["progress"] == 0.5


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u1"])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 0), (0, 2), (1, 2, 3)])
def test_arrays_of_every_kind_become_nested_lists(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(math.prod(shape)).reshape(shape)
    assert jsonable(Array.of(values, dtype)) == values.tolist()  # type: ignore[arg-type]  # the parameter is a DType
