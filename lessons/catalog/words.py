"""The words of a lesson's steps: headings, what is said before and after a run, what holds for some runs only."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from llm_holes.engine.frames import Scalar
from llm_holes.engine.numbers import Kind, Measured, measurement
from llm_holes.engine.spelling import in_sentence

PLACEHOLDER = re.compile(r"\{(measured|model|settings)\.(\w+)(?::([^{}]*))?\}")
QUOTE = re.compile(r"\{(?:measured|model|settings)\.[^{}]*\}")
LINK = re.compile(r"\]\(hole:([\w-]+)\)")
CONDITIONAL = re.compile(r"\{\?([^{}]*)\}(.*?)(?:\{:\}(.*?))?\{/\}", re.DOTALL)
CONDITION = re.compile(
    r"(?P<no>not )?(?P<group>measured|model|settings)\.(?P<name>\w+)"
    r"(?: (?P<op><=|>=|==|!=|<|>) (?:(?P<ogroup>measured|model|settings)\.(?P<oname>\w+)|(?P<value>[^{}]+)))?"
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
HEADING = re.compile(r"^## +(.+?)\s*$", re.MULTILINE)
BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])(?=\s)")
RULE = re.compile(r"^---\s*$", re.MULTILINE)

Values = Mapping[str, Mapping[str, object]]
"""What is known, in the groups `measured`, `model` and `settings`."""


class Words(NamedTuple):
    """What one step says: before its run, and once that has measured something."""

    heading: str
    before: str
    after: str = ""


def words_of(body: str) -> tuple[Words, ...]:
    """The steps' words in `lesson.md`. What is above the first heading is not among them."""
    _, *rest = HEADING.split(body)
    found: list[Words] = []
    for heading, text in zip(rest[::2], rest[1::2], strict=True):
        before, _, after = (RULE.sub("\0", text, count=1)).partition("\0")
        found.append(Words(heading, before.strip(), after.strip()))
    return tuple(found)


def conditions(text: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """Each condition in the text, and its parts if it can be read."""
    for condition in re.findall(r"\{\?([^{}]*)\}", text):
        yield condition, CONDITION.fullmatch(condition)


def names_in(text: str) -> set[tuple[str, str]]:
    """(group, name) of everything the text quotes or asks for in a condition."""
    found = {(group, name) for group, name, _ in PLACEHOLDER.findall(text)}
    for _, match in conditions(text):
        if match is not None:
            found.add((match["group"], match["name"]))
            if match["ogroup"]:
                found.add((match["ogroup"], match["oname"]))
    return found


def chosen(text: str, values: Values) -> str:
    """The text with only the sentences that hold: of `{?condition}this{:}that{/}` one part, and neither where what the
    condition asks for is not known."""

    def part(match: re.Match[str]) -> str:
        holds = _holds(match[1], values)
        return "" if holds is None else match[2] if holds else match[3] or ""

    return re.sub(r"[ ]{2,}", " ", CONDITIONAL.sub(part, text)).strip()


def told(text: str, values: Values) -> str:
    """The text as `chosen` has it, without the sentences that quote what is not known though other things of its group
    are: a model on a server is not known in every way."""
    sentences = BETWEEN_SENTENCES.split(chosen(text, values))
    return "".join(one for one in sentences if _is_told(one, values)).strip()


def _is_told(sentence: str, values: Values) -> bool:
    quoted = ((values.get(group), name) for group, name, _ in PLACEHOLDER.findall(sentence))
    return all(not known or name in known for known, name in quoted)


def _holds(condition: str, values: Values) -> bool | None:
    match = CONDITION.fullmatch(condition)
    if match is None or match["name"] not in values.get(match["group"], {}):
        return None
    known = values[match["group"]][match["name"]]
    if match["op"] is None:
        return bool(known) is not bool(match["no"])
    if match["ogroup"]:
        if match["oname"] not in values.get(match["ogroup"], {}):
            return None
        other: object = values[match["ogroup"]][match["oname"]]
    else:
        other = _literal(match["value"])
    try:
        return COMPARE[match["op"]](known, other) is not bool(match["no"])
    except TypeError:
        return None


def _literal(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    if text[:1] in "'\"" and text[-1:] == text[:1]:
        return text[1:-1]
    try:
        return float(text)
    except ValueError:
        return text


def value_of(match: re.Match[str], values: Values, missing: str = "…") -> str:
    """What a placeholder reads, on one line. A full stop that the text brings itself is not said twice."""
    known = values.get(match[1], {})
    if match[2] not in known:
        return missing
    kind = cast(Kind | None, match[3])
    said = measurement(match[2], _spelt(known[match[2]]), kind)
    return said.removesuffix(".") if match.string.startswith("”.", match.end()) else said


def _spelt(value: object) -> Measured:
    """The value with every text in it as a sentence has it."""
    if isinstance(value, str):
        return in_sentence(value)
    if isinstance(value, Mapping):
        return {in_sentence(key): cast(Scalar | None, _spelt(inner)) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [cast(Scalar | None, _spelt(inner)) for inner in value]
    return cast(Measured, value)


def fill(text: str, values: Values, missing: str = "…") -> str:
    """The text with `{measured.name}`, `{model.name}` and `{settings.name}` filled in, written as the name says or as
    the kind in `{measured.name:kind}`, and with only the sentences that hold. What is not known reads `missing`."""
    return PLACEHOLDER.sub(lambda match: value_of(match, values, missing), chosen(text, values))
