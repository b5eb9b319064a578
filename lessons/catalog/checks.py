"""What must hold in a lesson beyond its types: every name it uses exists, every question can be answered."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from math import inf

from llm_holes.engine.frames import Value
from llm_holes.engine.ipc.messages import ModelInfo
from llm_holes.engine.numbers import WRITERS
from llm_holes.lessons.catalog.schema import Bet, Control, Kind, LessonData, Option, Question, Step
from llm_holes.lessons.catalog.words import CONDITIONAL, LINK, PLACEHOLDER, QUOTE, Words, conditions, names_in, words_of

Problem = tuple[str, str]
"""A text to find in the file (the line to point at) and what is wrong there."""

STEPS = range(3, 7)
MOST_WORDS = 70
"""Of what a step says before its run, and of what it says after it."""
MOST_VALUES = 6
LONGEST_HELP = 74
"""Characters of a control's help: the hint line shows it whole in a terminal 80 columns wide."""
LONGEST_LABEL = 16
"""Characters of a control's label: several dials share a row."""


def check_lesson(lesson_id: str, data: LessonData, body: str, ids: Collection[str]) -> Iterator[Problem]:
    """The problems of one lesson; `ids` are all lessons there are."""
    links = [*((name, name) for name in data.see_also), *((name, f"(hole:{name})") for name in LINK.findall(body))]
    for other, needle in links:
        if other not in ids:
            yield needle, f"link to {other!r}, which is not a lesson"
    for control in data.controls:
        yield from _check_control(control)
    yield from _check_presets(data)
    yield from _check_steps(data, words_of(body))
    for question in data.quiz:
        yield from _check_question(question, data.publishes)


def _check_steps(data: LessonData, words: tuple[Words, ...]) -> Iterator[Problem]:
    if len(data.steps) not in STEPS:
        yield "[[steps]]", f"a lesson has {STEPS[0]} to {STEPS[-1]} steps, not {len(data.steps)}"
    if len(words) != len(data.steps):
        yield "[[steps]]", f"there are {len(data.steps)} steps and {len(words)} headings in the text"
    controls = {control.name for control in data.controls}
    for step in data.steps:
        yield from _check_step(step, controls, data.publishes)
    decided_by = [bet.measurement for bet in data.bets]
    if not decided_by:
        yield "[[steps]]", "no step has a bet"
    for name in sorted({name for name in decided_by if decided_by.count(name) > 1}):
        yield f'"{name}"', f"two bets are decided by {name!r}"
    for said in words:
        yield from _check_words(said, data.publishes, controls)


def _check_step(step: Step, controls: Collection[str], publishes: Collection[str]) -> Iterator[Problem]:
    for name in sorted((step.settings.keys() | (step.bet.settings.keys() if step.bet else set())) - set(controls)):
        yield f"{name} =", f"the step with the view {step.view!r} sets {name!r}, which is not a control"
    if step.bet is not None:
        yield from _check_bet(step.bet, publishes)


def _check_bet(bet: Bet, publishes: Collection[str]) -> Iterator[Problem]:
    if bet.measurement not in publishes:
        yield "[steps.bet]", f"the bet is decided by {bet.measurement!r}, which the lesson does not publish"
    yield from _check_options(bet.question, bet.options, publishes, measured=True)


def _check_words(words: Words, publishes: Collection[str], controls: Collection[str]) -> Iterator[Problem]:
    needle = f"## {words.heading}"
    for text in (words.before, words.after):
        yield from _check_quotes(text, publishes, controls)
        # of a sentence with two forms, one is shown
        count = len(PLACEHOLDER.sub("1", CONDITIONAL.sub(lambda m: max(m[2], m[3] or "", key=len), text)).split())
        if count > MOST_WORDS:
            yield needle, f"a step has at most {MOST_WORDS} words before and after its run, not {count}"
    if any(group == "measured" for group, _ in names_in(words.before)):
        yield needle, "a measurement is quoted before the run; what needs one belongs after the line ---"
    if len(PLACEHOLDER.findall(words.before + words.after)) > MOST_VALUES:
        yield needle, f"a step quotes at most {MOST_VALUES} values"
    if not words.before:
        yield needle, "the step says nothing before its run"


def _check_quotes(text: str, publishes: Collection[str], controls: Collection[str] = ()) -> Iterator[Problem]:
    for placeholder in QUOTE.findall(text):
        if not PLACEHOLDER.fullmatch(placeholder):
            yield placeholder, f"{placeholder} is no placeholder"
    for condition, match in conditions(text):
        if match is None:
            yield f"{{?{condition}", f"{condition!r} is no condition"
    if re.search(r"\{\?|\{:\}|\{/\}", CONDITIONAL.sub("", text)):
        yield "{?", "a sentence that holds for some runs only begins with {?condition} and ends with {/}"
    for group, name in sorted(names_in(text)):
        if group == "measured" and name not in publishes:
            yield f"measured.{name}", f"the text quotes {name!r}, which the lesson does not publish"
        if group == "model" and name not in ModelInfo.__struct_fields__:
            yield f"model.{name}", f"the text quotes {name!r}, which is not known of a model"
        if group == "settings" and name not in controls:
            yield f"settings.{name}", f"the text quotes {name!r}, which is not a control"
    for group, name, kind in PLACEHOLDER.findall(text):
        if kind and kind not in WRITERS:
            yield f"{group}.{name}:{kind}", f"{kind!r} is no kind of number; there are: {', '.join(WRITERS)}"


def _check_control(control: Control) -> Iterator[Problem]:
    where = f'"{control.name}"'
    if control.kind == "choice" and control.default not in control.choices:
        yield where, f"the default of {control.name!r} is not one of its choices"
    if control.kind in {"int", "float"} and (control.min is None or control.max is None):
        yield where, f"{control.name!r} needs min and max"
    if not fits(control.kind, control.default):
        yield where, f"the default of {control.name!r} does not fit its kind, {control.kind}"
    if len(control.help) > LONGEST_HELP:
        yield control.help, f"the help of {control.name!r} has {len(control.help)} characters, {LONGEST_HELP} fit"
    if len(control.label) > LONGEST_LABEL:
        yield f'"{control.label}"', f"the label {control.label!r} has over {LONGEST_LABEL} characters"


def fits(kind: Kind, value: Value) -> bool:
    """Whether the value is of the type a control of this kind takes."""
    if kind == "toggle" or isinstance(value, bool):
        return kind == "toggle" and isinstance(value, bool)
    if kind in {"text", "choice"}:
        return isinstance(value, str)
    return isinstance(value, (int, float) if kind == "float" else int)


def _check_presets(data: LessonData) -> Iterator[Problem]:
    defaults = {control.name: control.default for control in data.controls}
    for preset in data.presets:
        for name in preset.settings.keys() - defaults.keys():
            yield f'name = "{preset.name}"', f"preset {preset.name!r} sets {name!r}, which is not a control"
        if {**defaults, **preset.settings} == defaults:
            yield f'"{preset.name}"', f"preset {preset.name!r} changes nothing: it equals the defaults"
    for kind in ("expected", "surprise"):
        if all(preset.expect != kind for preset in data.presets):
            yield "[[presets]]", f'no preset with expect = "{kind}"'


def _check_question(question: Question, publishes: Collection[str]) -> Iterator[Problem]:
    if question.measurement and question.measurement not in publishes:
        yield question.question, f"the answer is {question.measurement!r}, which the lesson does not publish"
    if not question.measurement and sum(option.correct for option in question.options) != 1:
        yield question.question, "exactly one option must be correct"
    yield from _check_options(question.question, question.options, publishes, measured=bool(question.measurement))


def _check_options(
    question: str, options: tuple[Option, ...], publishes: Collection[str], measured: bool
) -> Iterator[Problem]:
    for option in options:
        yield from _check_quotes(option.because, publishes)
        if measured and (not _decided(option) or option.correct):
            yield option.text, "an option of a measured question needs at_least, below or equals, not correct"
        if not measured and _decided(option):
            yield option.text, "at_least, below and equals need a measurement to compare with"
    if measured and options and all(map(_decided, options)):
        yield from _check_cover(question, options)


def _decided(option: Option) -> bool:
    return option.at_least is not None or option.below is not None or option.equals is not None


def _check_cover(question: str, options: tuple[Option, ...]) -> Iterator[Problem]:
    """Whatever is measured, exactly one option must be right."""
    values = [option.equals for option in options if option.equals is not None]
    if not values:
        yield from _check_ranges(question, options)
    elif len(values) < len(options) or any(o.at_least is not None or o.below is not None for o in options):
        yield question, "the options must all be ranges, or all compare with equals"
    elif len({(type(value), value) for value in values}) < len(values):
        yield question, "two options equal the same value"
    elif any(isinstance(value, bool) for value in values) and set(values) != {True, False}:
        yield question, "a yes or no is measured: one option must equal true and one false"


def _check_ranges(question: str, options: tuple[Option, ...]) -> Iterator[Problem]:
    ranges = sorted((-inf if o.at_least is None else o.at_least, inf if o.below is None else o.below) for o in options)
    for low, high in ranges:
        if low >= high:
            yield question, f"no number is at least {low:g} and below {high:g}"
    ends = [-inf, *(high for _, high in ranges)]
    starts = [*(low for low, _ in ranges), inf]
    for end, start in zip(ends, starts, strict=True):
        if start > end:
            yield question, f"no option is right for {_stretch(end, start)}"
        if start < end:
            yield question, f"two options are right for {_stretch(start, end)}"


def _stretch(low: float, high: float) -> str:
    if low == -inf:
        return f"numbers below {high:g}"
    return f"numbers from {low:g} on" if high == inf else f"numbers from {low:g} to {high:g}"
