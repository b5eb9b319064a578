"""Lessons are data: what is wrong in a file is said with its file and line, and the tree is complete."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.catalog import CatalogError
from llm_holes.lessons.catalog.settings import SettingsError, parsed, validated
from tests.support.lesson_files import write
from tests.support.paths import ROOT

LESSONS = catalog.SHIPPED
GOOD, TEXT = (
    (LESSONS / "tier1" / "tokens" / name).read_text(encoding="utf-8") for name in ("lesson.toml", "lesson.md")
)
MODEL = ModelInfo(
    n_layers=4,
    d_model=32,
    n_heads=2,
    n_kv_heads=1,
    d_head=16,
    d_mlp=64,
    d_vocab=100,
    n_ctx=128,
    tied_embeddings=True,
    name="m",
    path="",
    sha256="",
    dtype="fp32",
    threads=1,
    parameters=1000,
    weight_format="",
)


def read(tmp_path: Path, toml: str = GOOD, text: str = TEXT) -> catalog.Catalog:
    """A catalog of the real lessons, with other files for `tokens`."""
    shutil.copytree(LESSONS, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    write(tmp_path, "tier1/tokens", toml, text)
    return catalog.read(tmp_path)


def line_of(text: str, needle: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if needle in line)


def test_a_list_may_come_before_what_the_tree_needs(tmp_path: Path) -> None:
    order = next(line for line in GOOD.splitlines() if line.startswith("order ="))
    rest = GOOD.replace(f"{order}\n", "").replace("[terms]", f"{order}\n\n[terms]", 1)
    assert rest.index("publishes = [") < rest.index(order)
    assert read(tmp_path, rest)["tokens"].order == catalog.load()["tokens"].order


def test_every_folder_of_a_lesson_is_on_the_map_in_its_tier() -> None:
    lessons = catalog.load().lessons
    assert {lesson.folder for lesson in lessons.values()} == {
        str(file.parent.relative_to(LESSONS)) for file in LESSONS.glob("tier*/*/lesson.toml")
    }
    assert next(iter(lessons)) == "what-happens"
    assert all(lesson.tier > 0 for lesson in lessons.values() if lesson.parent)


def test_the_readme_says_how_many_holes_there_are() -> None:
    assert f"of {len(catalog.load().lessons)} *holes*" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_trail_and_children_follow_the_tree() -> None:
    found = catalog.load()
    trail = [lesson.id for lesson in found.trail("quantization")]
    assert trail == ["what-happens", "prefill-decode", "kv-cache", "quantization"]
    assert "kv-cache" in [lesson.id for lesson in found.children("prefill-decode")]
    assert [lesson.id for lesson in found.children("")] == ["what-happens"]


def test_a_good_file_is_read(tmp_path: Path) -> None:
    assert read(tmp_path)["tokens"].title == "What is a token?"


BROKEN = [
    ("minutes = 6", 'minutes = "six"', "minutes"),
    ("minutes = 6", "minutes = 6\nmintues = 7", "mintues"),
    ('parent = "what-happens"', 'parent = "nowhere"', None),
    ('see_also = ["tokenization", ', 'see_also = ["no-such-hole", ', "no-such-hole"),
    ("](hole:embeddings)", "](hole:no-such-hole)", "no-such-hole"),
    ("{measured.tokens_english:count}", "{measured.tokenz:count}", "tokenz"),
    ('measurement = "counts_right"', 'measurement = "counts_rightly"', "[steps.bet]"),
    ('because = "A trailing space is', 'explanation = "A trailing space is', "explanation = "),
    ('name = "strawberry"\nexpect = "surprise"', 'name = "strawberry"\nexpect = "shock"', 'expect = "shock"'),
    ('settings = { text = "strawberry strawberry" }', "settings = { test = 1 }", 'name = "strawberry"'),
    ('kind = "text"\nlabel', 'kind = "essay"\nlabel', 'kind = "essay"'),
    ("order = 2", "order = = 2", "order = = 2"),
]


@pytest.mark.parametrize(("old", "new", "marked"), BROKEN)
def test_a_fault_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, marked: str | None) -> None:
    toml, text = (GOOD.replace(old, new, 1), TEXT) if old in GOOD else (GOOD, TEXT.replace(old, new, 1))
    assert (toml, text) != (GOOD, TEXT)
    with pytest.raises(CatalogError) as caught:
        read(tmp_path, toml, text)
    file, changed = ("lesson.md", text) if text != TEXT else ("lesson.toml", toml)
    line = line_of(changed, marked) if marked else 1
    assert str(caught.value).startswith(f"tier1/tokens/{file}:{line}:")


def test_a_question_without_two_hints_or_without_one_right_answer_is_refused(tmp_path: Path) -> None:
    first_hints = next(line for line in GOOD.splitlines() if line.startswith("hints = "))
    with pytest.raises(CatalogError, match="hints"):
        read(tmp_path, GOOD.replace(first_hints, 'hints = ["one"]', 1))


def test_two_right_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="exactly one"):
        read(tmp_path, GOOD.replace('because = "Letters are in', 'correct = true\nbecause = "Letters are in', 1))


def test_a_circle_in_the_tree_is_refused(tmp_path: Path) -> None:
    circle = GOOD.replace('parent = "what-happens"', 'parent = "tokenization"', 1)
    with pytest.raises(CatalogError, match="own ancestor"):
        read(tmp_path, circle)


def test_settings_fill_in_defaults_and_keep_to_the_model() -> None:
    lesson = catalog.load()["attention"]
    found = validated(lesson, {"also_off": 3}, MODEL)
    assert (found["also_off"], found["layer"], found["head"]) == (3, 3, 1)
    assert found.keys() == {control.name for control in lesson.controls}


def test_a_preset_made_for_a_larger_model_is_brought_inside() -> None:
    lesson = catalog.load()["attention"]
    found = validated(lesson, lesson.preset("words in no order").settings, MODEL)
    assert (found["layer"], found["head"]) == (3, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"also_off": 33}, "between 0 and 32"),
        ({"layer": 4}, "between 0 and 3"),
        ({"gallery": "best"}, "one of induction"),
        ({"text": 3}, "kind text"),
        ({"also_off": True}, "kind int"),
        ({"heads": 1}, "no setting 'heads'"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(given: dict[str, int | str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        validated(catalog.load()["attention"], given, MODEL)


def test_words_on_a_command_line_become_values() -> None:
    controls = {c.name: c for name in ("stopping", "attention") for c in catalog.load()[name].controls}
    assert parsed(controls["chat_template"], "off") is False
    assert parsed(controls["end_bias"], "-2.5") == -2.5
    assert parsed(controls["text"], "5") == "5"
    with pytest.raises(SettingsError, match="whole number"):
        parsed(controls["layer"], "two")


def test_every_shipped_lesson_is_without_a_fault() -> None:
    assert catalog.read(LESSONS).lessons.keys() == catalog.load().lessons.keys()
