"""How a measured number is written, in the whole program: pictures, verdicts, lesson text, notebook, terminal.

Pure functions from a value to a short text: never in powers of ten, NaN and None read –, the unit comes with it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from typing import Literal

from llm_holes.engine.frames import Scalar

NOTHING = "–"
SMALLEST, LARGEST = 1e-6, 1e15
"""Figures beyond these say only that they are beyond."""

Kind = Literal[
    "percent", "odds", "duration", "microseconds", "size", "count", "index", "large", "exact", "figure", "nats",
    "times", "equality", "gb_per_s", "mb_per_s", "gflop_per_s", "tokens_per_s",
]  # fmt: skip


def _finite(write: Callable[[float], str]) -> Callable[[float | None], str]:
    """The same for values that are no finite number: – for NaN and None, ∞ with its sign."""

    @wraps(write)
    def written(value: float | None) -> str:
        if value is None or math.isnan(value):
            return NOTHING
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        return write(value)

    return written


def _rounded(value: float, digits: int) -> str:
    """The value to this many digits after the point, thousands grouped, without zeros at the end."""
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _digits(value: float, significant: int) -> str:
    """The value to this many significant digits; all digits before the point stay."""
    magnitude = math.floor(math.log10(abs(value))) if value else 0
    return _rounded(value, max(0, significant - 1 - magnitude))


@_finite
def figure(value: float) -> str:
    """Three significant digits, thousands grouped; the whole part keeps all of its digits."""
    if 0 < abs(value) < SMALLEST:
        return "under 0.000001" if value > 0 else "over -0.000001"
    if abs(value) >= LARGEST:
        return "over 1,000 trillion" if value > 0 else "under -1,000 trillion"
    return _digits(value, 3)


@_finite
def exact(value: float) -> str:
    """A number as somebody set it, to six significant digits."""
    return figure(value) if 0 < abs(value) < SMALLEST or abs(value) >= LARGEST else _digits(value, 6)


@_finite
def count(value: float) -> str:
    """A whole number, thousands grouped: 49,152."""
    return figure(value) if abs(value) >= LARGEST else f"{round(value):,}"


@_finite
def index(value: float) -> str:
    """The number of a row, a neuron, a token: 1229, not grouped."""
    return figure(value) if abs(value) >= LARGEST else f"{round(value)}"


@_finite
def large(value: float) -> str:
    """A number of operations: 49.5 billion."""
    for size, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= size * (1 - 5e-4) and abs(value) < 1e3 * LARGEST:
            return f"{_digits(value / size, 3)} {word}"
    return figure(value)


@_finite
def percent(share: float) -> str:
    """A share or a probability, 0..1: 98 %, 0.3 %, under 0.01 %, over 99.99 %. More decimals near 0 % and 100 %."""
    if 0 < abs(share) < 1e-4:
        return "under 0.01 %" if share > 0 else "over -0.01 %"
    if 0.9999 < share < 1:
        return "over 99.99 %"
    if abs(100 * share) >= LARGEST:
        return figure(100 * share) + " %"
    return f"{_rounded(100 * share, _percent_decimals(abs(share)))} %"


def _percent_decimals(share: float) -> int:
    if share < 1e-3 or 0.999 <= share < 1:
        return 2
    return 1 if share < 0.0995 or 0.99 <= share < 1 else 0


@_finite
def odds(p: float) -> str:
    """A probability as "1 in 270,000" where it is too small to be felt as a percentage; from 1 % on it is one."""
    if p <= 0 or p >= 0.01:
        return percent(p)
    if p <= 1 / LARGEST:
        return "under 1 in 1,000 trillion"
    against = 1 / p
    for size, word in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million"), (1, "")):
        if against >= 0.995 * size:
            return f"1 in {_two_digits(against / size)}{word}"
    return NOTHING


def _two_digits(value: float) -> str:
    return _rounded(value, 1) if value < 10 else f"{float(f'{value:.2g}'):,.0f}"


@_finite
def duration(ms: float) -> str:
    """A time, given in milliseconds: 41 µs, 2.6 ms, 1.4 s. Minutes from two on."""
    sign, ms = ("-" if ms < 0 else ""), abs(ms)
    if ms == 0:
        return "0 ms"
    if ms < 0.95e-6:
        return "over -1 ns" if sign else "under 1 ns"
    for unit, size in (("ns", 1e-6), ("µs", 1e-3), ("ms", 1.0), ("s", 1e3)):
        scaled = ms / size
        if scaled < (119.5 if unit == "s" else 999.5):
            return f"{sign}{_time(scaled)} {unit}"
    return f"{sign}{_time(ms / 60e3)} min"


def _time(scaled: float) -> str:
    return figure(round(scaled)) if scaled >= 9.95 else f"{scaled:.1f}"


@_finite
def size(nbytes: float) -> str:
    """Memory, given in bytes: 576 bytes, 45 KiB, 11.0 MiB. Without decimals where it is exactly whole."""
    if abs(nbytes) < 1024:
        return f"{figure(nbytes)} byte{'' if nbytes == 1 else 's'}"
    scaled, unit = nbytes / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if abs(scaled) >= 999.5:
            scaled, unit = scaled / 1024, larger
    if scaled.is_integer():
        return f"{figure(scaled)} {unit}"
    decimals = max(0, 2 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:,.{decimals}f} {unit}" if abs(scaled) < LARGEST else f"{figure(scaled)} {unit}"


@_finite
def equality(difference: float) -> str:
    """How well two results that should be one agree, given their largest difference."""
    if difference == 0:
        return "equal, bit by bit"
    digits = math.floor(-math.log10(abs(difference)))
    return f"equal to {digits} digits" if digits >= 2 else f"{figure(abs(difference))} apart"


def plural(n: float, one: str, many: str = "") -> str:
    """The number with its noun: 1 token, 2 tokens."""
    return f"{count(n) if float(n).is_integer() else figure(n)} {one if n == 1 else many or one + 's'}"


def _with_unit(unit: str, scale: float = 1.0) -> Callable[[float | None], str]:
    @_finite
    def written(value: float) -> str:
        return f"{figure(value * scale)} {unit}"

    return written


@_finite
def _microseconds(us: float) -> str:
    return duration(us / 1000)


WRITERS: Mapping[Kind, Callable[[float | None], str]] = {
    "percent": percent,
    "odds": odds,
    "duration": duration,
    "microseconds": _microseconds,
    "size": size,
    "count": count,
    "index": index,
    "large": large,
    "exact": exact,
    "figure": figure,
    "equality": equality,
    "nats": _with_unit("nats"),
    "times": _with_unit("times"),
    "gb_per_s": _with_unit("GB/s"),
    "mb_per_s": _with_unit("MB/s"),
    "gflop_per_s": _with_unit("GFLOP/s"),
    "tokens_per_s": _with_unit("tokens/s"),
}

NAMES: tuple[tuple[Kind, str], ...] = (
    # exceptions come before the rules that they are exceptions to
    ("count", r"bytes|bytes_dropped|bytes_lost|bytes_as_tokens|(pieces|questions)_by_bytes|characters"),
    ("figure", r"bytes_per_token|bits_per_weight|.*_counted_to_formula|doubled_.*|random_pair_cosine_spread"),
    ("times", r".*speedup|.*slowdown|.*_vs_one|.*_vs_best|admitted_ratio|perplexity_ratio|flops_ratio_masked"),
    ("times", r"(read|sums)_growth|(pieces|asked|ffn_to_attention)_ratio|expansion|tiktoken_vs_python|surprise_ratio"),
    ("gb_per_s", r".*gb_per_s"),
    ("mb_per_s", r".*mb_per_s"),
    ("gflop_per_s", r".*gflop_per_s"),
    ("tokens_per_s", r".*tok_per_s(_.*)?"),
    ("microseconds", r"(.*_)?us(_.*)?"),
    ("equality", r".*_max_abs_diff(_.*)?|.*_relative_diff"),
    ("percent", r"p_.*|.*_p|.*_p_.*|.*_share(_.*)?|share_.*|.*_fraction|.*_rate(_.*)?|.*accuracy(_.*)?|waste_.*"),
    ("percent", r"density(_.*)?|energy_(kept|in_.*)|success_by_.*|attention_on_.*|attention_by_.*|weight_on_.*"),
    ("percent", r".*_attention_mass|relative_error|weight_error_relative|.*_rel_error|valid_call_.*|size_ratio"),
    ("percent", r"flops_ratio|type_threshold|ffn_differs_from_.*|.*_tv_distance"),
    ("duration", r"(.*_)?ms(_.*)?"),
    ("nats", r"(.*_)?(kl|nats)(_.*)?|loss_.*"),
    ("size", r"(.*_)?bytes(_.*)?"),
    ("large", r"(machine_)?flops_.*"),
    ("index", r"(found_)?(row|column)|neuron|top_neurons|token_ids|largest_channel"),
    ("index", r"(most|least)_important_layer|divergence_layer|answer_.*_layer|norm_largest_(after_layer|at_position)"),
    ("figure", r"(.*_)?norm(_.*)?|.*_length(_.*)?|(.*_)?cosine(_.*)?|perplexity(_.*)?"),
    ("figure", r".*_(value|score|logit|threshold)"),
)
"""Which names of measurements are of which kind. All others are whole numbers, counted, or plain figures."""


@cache
def kind_of(name: str) -> Kind | None:
    """The kind that a measurement's name tells; None where it tells nothing."""
    return next((kind for kind, pattern in NAMES if re.fullmatch(pattern, name)), None)


SHARES = re.compile(r"P|.*\bP\(.*|weight|attention|.*\b(probability|share|frequency|softmax|hit rate)\b.*|of best")


def kind_of_label(label: str) -> Kind | None:
    """The kind of the numbers under a column's heading, along an axis or on a legend; units stay in the label."""
    return "percent" if SHARES.fullmatch(label) else None


Measured = Scalar | None | Sequence[Scalar | None] | Mapping[str, Scalar | None]


def measurement(name: str, value: Measured, kind: Kind | None = None) -> str:
    """A measurement for people, by its published name (or by `kind`): truth values as yes and no, strings as they are,
    lists and groups part by part."""
    kind = kind or kind_of(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _listed((scalar(inner, kind) for inner in value), " to " if _is_spread(name, value) else ", ")
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {scalar(inner, kind)}" for key, inner in value.items())
    return scalar(value, kind)


def scalar(value: Scalar | None, kind: Kind | None = None) -> str:
    """One value; without a kind, whole numbers are counted and others are figures."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if kind is None:
        kind = "count" if isinstance(value, int) else "figure"
    return WRITERS[kind](value)


def _is_spread(name: str, value: Sequence[Scalar | None]) -> bool:
    return name.endswith("_spread") and len(value) == 2


def _listed(parts: Iterable[str], between: str) -> str:
    """The parts in one line, their unit once where all have the same."""
    texts = list(parts)
    units = {text.rpartition(" ")[2] for text in texts if " " in text}
    same = len(units) == 1 and len(texts) > 1 and all(" " in text for text in texts) and "%" not in units
    return between.join([*(text.rpartition(" ")[0] for text in texts[:-1]), texts[-1]]) if same else between.join(texts)
