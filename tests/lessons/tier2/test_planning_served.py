"""What a served model takes next of a plan's steps, from the chances that its server tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from llm_holes.engine.backends.backend import Ask, Backend, Capability, Ended, Likely, Piece, Written
from llm_holes.engine.backends.capabilities import Found
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Frame, Token
from llm_holes.lessons.tier2.planning import served
from llm_holes.lessons.tier2.planning.chooser import Chooser
from llm_holes.lessons.tier2.planning.helps import Errand, Part
from llm_holes.lessons.tier2.planning.served_chooser import ServedChooser

OPTIONS = ("add sugar", "add milk", "serve the tea")
CUE = (Part("cue", "Step 1:"),)


class Telling:
    """A model that cuts a text at its spaces and always tells the same two tokens; `texts` are what it was asked."""

    name = "telling"

    def __init__(self, *capabilities: Capability) -> None:
        self.capabilities = frozenset(capabilities)
        self.texts: list[str] = []

    def encode(self, text: str, specials: bool = False) -> tuple[Token, ...]:
        return tuple(Token(n, f" {word}".encode()) for n, word in enumerate(text.strip(" ").split(" ")))

    def together(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Piece | Ended]]:
        self.texts += [str(ask.prompt) for ask in asks]
        told = Likely(b" a", 0.6), Likely(b" b\n", 0.3)
        yield 0, Piece(" a", (Written(told[0], told),), 1.0)
        yield 0, Ended("max tokens", 1.0)

    def chances(self, text: str) -> tuple[Likely, ...]:
        return Likely(b"Step 1:", 1.0), Likely(f" {text.rpartition(' ')[2]}".encode(), 0.1)


SETTINGS = {"text": "t", "plan": "", "variant": "plan", "noise": 0, "steps": 2, "trials": 1, "seed": 0}


def chooser(telling: Telling, *options: str) -> ServedChooser:
    return ServedChooser(cast(Backend, telling), options)


def test_the_shares_are_those_of_the_model_here(engine: Engine, llama: Found) -> None:
    there, here = ServedChooser(llama.backend, OPTIONS), Chooser(engine, OPTIONS)
    for text in (Errand("Make tea.", OPTIONS).parts(OPTIONS[:1], help_) for help_ in ("plan", "checklist")):
        assert there.shares(text) == pytest.approx(here.shares(text), abs=1e-3)
    assert [there.forced(option) for option in OPTIONS] == [here.forced(option) for option in OPTIONS]


def test_a_text_is_asked_for_once() -> None:
    telling = Telling("top 20")
    asking = chooser(telling, "a x", "a y", "b")
    # a and b; then x and y, neither of which is told
    assert asking.shares(CUE) == asking.shares(CUE) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert telling.texts == ["Step 1:", "Step 1: a"]


def test_a_token_that_is_not_told_is_looked_up_in_the_prompt_or_counts_as_the_last_one_told() -> None:
    assert chooser(Telling("top 20"), "a", "c").shares(CUE) == pytest.approx([0.5, 0.5])
    unlike = chooser(Telling("top 20"), "b", "c d", "a e").shares(CUE)
    assert unlike == pytest.approx([0.25, 0.25, 0.5])
    looked_up = chooser(Telling("top 20", "echo"), "b", "c d", "a e").shares(CUE)
    assert looked_up == pytest.approx([0.3, 0.1, 0.6])


def test_steps_that_part_within_a_character_are_refused() -> None:
    class Bytes(Telling):
        def encode(self, text: str, specials: bool = False) -> tuple[Token, ...]:
            return tuple(Token(byte, bytes([byte])) for byte in text.encode())

    with pytest.raises(InputError, match="within a character"):
        chooser(Bytes("top 20"), "ä", "ö").shares(CUE)


def test_the_plan_is_written_up_to_its_last_step_and_carried_out(llama: Found) -> None:
    found = served.run(llama.backend, SETTINGS | {"text": "Make a cup of tea."})
    texts: list[str] = []
    for frame in found:
        if frame.progress != 0.05:
            break
        texts.append(_written(frame))
    assert texts[0].startswith("1.")
    assert texts[-1].count("\n") == 2
    assert "\n2." in texts[-1]


def _written(frame: Frame) -> str:
    view: Any = frame.views[0]
    return b"".join(token.data for token in view.turns[-1].tokens).decode()


def test_nobody_looks_at_its_attention_so_that_nothing_is_said_of_it() -> None:
    (*_, last) = served.run(cast(Backend, Telling("top 20")), SETTINGS | {"plan": "add milk, serve it"})
    assert not {"plan_attention_mass", "attention_by_variant"} & last.measured.keys()
    table: Any = next(view for view in last.views if view.key == "how sure")
    assert {row[-1] for row in table.rows} == {"–"}


@pytest.mark.parametrize(("plan", "told"), [("a x, b", True), ("c, a", False)])
def test_it_is_said_if_a_chance_was_not_told(plan: str, told: bool) -> None:
    (*_, last) = served.run(cast(Backend, Telling("top 20")), SETTINGS | {"plan": plan})
    assert (served.NOT_TOLD in last.views) is not told
