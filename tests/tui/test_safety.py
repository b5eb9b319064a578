"""Foreign text in every place that shows some: literal, complete, and nothing a terminal would obey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unicodedata import category

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot

from llm_holes.engine.frames import Array, Bars, Curve, Diff, Frame, Heatmap, Series, Table, Text, Token, Tokens, View
from llm_holes.engine.ipc.messages import Failed, Framed, Ready, Status, Unavailable
from llm_holes.tui.app import HolesApp
from llm_holes.tui.draw.sanitize import visible
from llm_holes.tui.link import Died
from llm_holes.tui.messages import TabChosen
from llm_holes.tui.views.walk import WalkView
from llm_holes.tui.widgets.lines import HintLine
from llm_holes.tui.widgets.text_field import TextField
from tests.support.app import OpenApp, settle, until
from tests.support.fake_engine import MODEL
from tests.support.fake_link import FakeEngine

NASTY = (
    "\x1b]52;c;QUFB\x07", "\x1b[2J\x1b[H", "\x9b31m\x90q\x9c", "a\u202eb\u2066c", "\u200b\u200d\ufe0f", "[/]",
    "[/b] [b", "[INST] hi [/INST]", "a[i]=1", "[@click=app.quit]x[/]", "\\[b]", "`*_~~#|<b>&amp;",
    "\x00\x7f\r\x08", "\U000e0041",
    "\ue000", "\u2028\u2029", "[link=http://x]y[/link]", "今天 é\u0301", "{measured.x} {0}",
)  # fmt: skip
FOREIGN = st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


VIEWS: tuple[Callable[[str], View], ...] = (
    lambda text: Tokens(text, (_token(text), Token(2, b"\x1b"), Token(3, b"\xff")), control=""),
    lambda text: Tokens(text, (_token(text),), (0.5,), text),
    lambda text: Heatmap(text, Array.of([[1.0, 2.0]]), text, text, (text,), (text, text), text),
    lambda text: Bars(text, (text, text), (1.0, -2.0), text, 0),
    lambda text: Curve(text, (Series(text, (0, 1), (0, 1)), Series(text, (0, 1), (1, 2))), text, text),
    lambda text: Table(text, (text, text), ((text, 1), (text, 2)), 0),
    lambda text: Text(text, text),
    lambda text: Diff(text, text, text + " more", text, text),
)
"""A view of each kind, with this text wherever it shows one."""


def _token(text: str) -> Token:
    return Token(1, text.encode("utf-8", "replace"), text)


def frame(text: str) -> Frame:
    return Frame(text, tuple(view(text) for view in VIEWS), {"answer": text, "tokens": 3})


def drawn(app: HolesApp) -> str:
    """Everything on the screen, as the strips that would be written."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def assert_harmless(app: HolesApp) -> None:
    bad = {c for c in drawn(app) if c != "\n" and category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}}
    assert not bad


async def walk_everything(app: HolesApp, pilot: Pilot[None]) -> tuple[list[str], str]:
    """Puts each view on the stage and the focus on those that can be walked; what is said about their first places,
    and all that was drawn meanwhile."""
    said, seen = [], []
    for name in [name for name in app.main.stage.tabs.names if name not in app.main.stage.tabs.closed]:
        app.main.post_message(TabChosen(name))
        await settle(pilot)
        if isinstance(app.main.stage.target, WalkView):
            app.main.stage.target.focus()
            await pilot.pause()
            said.append(app.query_one(HintLine).text)
        assert_harmless(app)
        seen.append(drawn(app))
    return said, "\n".join(seen)


@pytest.mark.parametrize("text", NASTY)
async def test_every_sink_shows_foreign_text_literally(open_app: OpenApp, engine: FakeEngine, text: str) -> None:
    engine.manual = True
    async with open_app(size=(120, 40)) as (app, pilot):
        engine.ready()
        app.query_one(TextField).value = text
        await pilot.press("r")
        await settle(pilot)
        engine.frame(frame(text))
        engine.finish()
        await until(pilot, lambda: app.main.session.run.phase == "done")
        await settle(pilot)
        assert_harmless(app)
        said, seen = await walk_everything(app, pilot)
        assert any(visible(text).strip() in line for line in said)
        shown = "".join(seen.split())
        assert shown.count("".join(visible(text).split())) >= 10
        for reply in (
            Failed(app.main.session.run.id, text, text),
            Status("loading", text),
            Ready(msgspec.structs.replace(MODEL, name=text, dtype=text)),
            Unavailable(text, text),
            Died(1, text, text),
        ):
            app.main.session.run = replace(app.main.session.run, phase="running")
            engine.say(reply)
            await settle(pilot)
            assert_harmless(app)
            assert "".join(visible(text).split())[:20] in "".join(drawn(app).split())


@given(texts=st.lists(FOREIGN, min_size=len(VIEWS), max_size=len(VIEWS)))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_generated_texts_crash_nothing(open_app: OpenApp, engine: FakeEngine, texts: list[str]) -> None:
    engine.manual = True
    engine.requests.clear()
    async with open_app(size=(80, 24)) as (app, pilot):
        engine.ready()
        await pilot.press("r")
        await settle(pilot)
        for text in texts:
            app.query_one(TextField).value = text
            assert app.query_one(TextField).value == text.replace("\r\n", "\n").replace("\r", "\n") or any(
                c in text for c in "‹›"
            )
        views = tuple(view(text) for view, text in zip(VIEWS, texts, strict=True))
        engine.say(Framed(app.main.session.run.id, Frame(texts[0], views, {"answer": texts[1], "tokens": 3})))
        await settle(pilot)
        await walk_everything(app, pilot)
        assert_harmless(app)


async def test_combining_marks_typed_one_by_one_into_a_text_are_cut_at_eight_in_sight(open_app: OpenApp) -> None:
    async with open_app() as (app, pilot):
        field = app.query_one(TextField)
        field.value = "ab"
        field.focus()
        field.move_cursor((0, 1))
        for _ in range(12):
            field.insert("\u0301")
        await settle(pilot)
        assert field.text == "a" + "\u0301" * 8 + "‹0301›" + "\u0301" * 3 + "b"
        assert field.value == "a" + "\u0301" * 12 + "b"
        await pilot.press("x")
        assert field.text.endswith("\u0301xb")
