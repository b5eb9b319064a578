"""`llm-holes new`: the files of a lesson that runs and that `llm-holes check` accepts, to be rewritten bit by bit."""

from __future__ import annotations

import re
from keyword import iskeyword
from pathlib import Path
from string import Template

from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.catalog import BODY, DATA, SHIPPED, TIERS, Catalog
from llm_holes.tui.cli.run import Unsuccessful
from llm_holes.tui.draw.sanitize import clean

LONGEST_SHORT = 18
"""Characters of a title in the tree."""
ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

TOML = Template("""\
title = "$title"
short = "$short"
objective = "What the learner is to find out, in one line."
keep = "The one sentence to remember."
parent = "$parent"
order = $order
minutes = 5
stages = ["tokens"]
publishes = ["characters", "tokens"]
see_also = ["$parent"]

[terms]
"$term" = "One sentence."

[[controls]]
name = "text"
kind = "text"
label = "text"
default = "The cat sat on the mat."
help = "What changing it does."
main = true

[[presets]]
name = "words"
expect = "expected"
why = "Here it is as everyone expects."
settings = { text = "one two three" }

[[presets]]
name = "a long word"
expect = "surprise"
why = "Here it is not."
settings = { text = "antidisestablishmentarianism" }

[[steps]]
view = "the text"

[[steps]]
view = "the tokens"
[steps.bet]
question = "How many tokens is this text?"
measurement = "tokens"
[[steps.bet.options]]
text = "fewer than 8"
below = 8
because = "It was {measured.tokens}."
[[steps.bet.options]]
text = "8 or more"
at_least = 8
because = "It was {measured.tokens}."

[[steps]]
view = "the tokens"
try = "Put a text of your own into the field (e)."

[[quiz]]
question = "A question about what was seen?"
hints = ["A first hint.", "Nearly the answer."]
[[quiz.options]]
text = "the right answer"
correct = true
because = "Why it is right."
[[quiz.options]]
text = "a wrong answer"
because = "Why it is wrong."

[[quiz]]
question = "Are there fewer tokens than characters?"
measurement = "tokens"
hints = ["Run it.", "Look at the first line of the result."]
[[quiz.options]]
text = "there is one token"
below = 2
because = "There were {measured.tokens}."
[[quiz.options]]
text = "there are several"
at_least = 2
because = "There were {measured.tokens}."
""")

MARKDOWN = Template("""\
## What it is about

What the learner reads before anything is measured: two to five sentences without a number of the run.

## The guess

What one has to know to guess.

---

What was seen: {measured.characters} characters are {measured.tokens} tokens.

## What follows

How it goes on. The hole above is [$parent_title](hole:$parent).
""")

EXPERIMENT = Template('''\
"""$title: what runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Frame, Text, Tokens
from llm_holes.engine.numbers import plural
from llm_holes.lessons.shared.report import Report


def run(engine: Engine, p: Mapping[str, Any]) -> Iterator[Frame]:
    report, text = Report(), p["text"]
    written = Text("the text", text)
    report.measure(characters=len(text))
    report.show(the_text=written)
    report.say(f"{plural(len(text), 'character')}.")
    yield report.frame(0.5)

    ids = engine.encode(text)
    report.measure(tokens=len(ids))
    report.show(the_text=written, the_tokens=Tokens("the tokens", engine.tokens(ids)))
    report.say_also(f"{plural(len(ids), 'token')} for this model.")
    yield report.frame()
''')

TEST = Template('''\
"""$title: what the lesson claims, on the real model."""

from __future__ import annotations

from llm_holes.engine.engine import Engine
from tests.support.lessons import measured


def test_characters_are_counted(engine: Engine) -> None:
    m = measured(engine, "$id", text="cat")
    assert m["characters"] == 3
    assert m["tokens"] >= 1
''')


def main(lesson_id: str, under: str, lessons: Path | None = None) -> int:
    """Writes the lesson's folder into that of all lessons, and its test beside theirs. Raises Unsuccessful where there
    is no checkout to write into, and for an id that cannot be one or a parent that is none."""
    lessons = lessons or SHIPPED
    tests = lessons.parent / "tests" / "lessons"
    if not tests.is_dir():
        raise Unsuccessful("a new lesson needs a checkout that is installed with `pip install -e .`", usage=True)
    shelf = catalog.outline(lessons)
    name = _package(lesson_id)
    if under not in shelf.lessons:
        raise Unsuccessful(f"there is no lesson {under!r} to put it under", usage=True)
    tier = min(shelf[under].tier + 1, TIERS[-1])
    place, test = lessons / f"tier{tier}" / name, tests / f"tier{tier}" / f"test_{name}.py"
    for path in (place, test):
        if lesson_id in shelf.lessons or path.exists():
            raise Unsuccessful(f"there is a {lesson_id!r} already", usage=True)
    words = _words(shelf, lesson_id, under)
    written = {
        place / "__init__.py": "",
        place / DATA: TOML.substitute(words),
        place / BODY: MARKDOWN.substitute(words),
        place / "experiment.py": EXPERIMENT.substitute(words),
        test: TEST.substitute(words),
    }
    for path, content in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(clean(str(path.relative_to(lessons.parent))))
    return 0


def _package(lesson_id: str) -> str:
    """The folder of a lesson, which Python can import. Raises Unsuccessful."""
    name = lesson_id.replace("-", "_")
    if not ID.fullmatch(lesson_id) or iskeyword(name):
        raise Unsuccessful(f"a lesson's id is small letters, digits and single dashes, not {lesson_id!r}", usage=True)
    return name


def _words(shelf: Catalog, lesson_id: str, under: str) -> dict[str, str]:
    """What the files say about this lesson; it comes after the last hole under the same one."""
    term = lesson_id.replace("-", " ")
    order = 1 + max((lesson.order for lesson in shelf.children(under)), default=0)
    return {
        "id": lesson_id,
        "title": term.capitalize(),
        "short": term.capitalize()[:LONGEST_SHORT],
        "term": term,
        "parent": under,
        "parent_title": shelf[under].title,
        "order": str(order),
    }
