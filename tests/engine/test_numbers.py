"""How measured numbers are written."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_holes.engine.frames import Value
from llm_holes.engine.numbers import (
    WRITERS,
    count,
    duration,
    equality,
    exact,
    figure,
    index,
    kind_of,
    kind_of_label,
    large,
    measurement,
    odds,
    percent,
    plural,
    size,
)
from llm_holes.lessons.catalog.catalog import load
from tests.support.fake_link import recorded
from tests.support.paths import RECORDINGS

TABLE = [
    (percent, [(0, "0 %"), (1e-9, "under 0.01 %"), (0.00012, "0.01 %"), (0.003, "0.3 %"), (0.0123, "1.2 %")]),
    (percent, [(0.02, "2 %"), (0.0996, "10 %"), (0.5, "50 %"), (0.98, "98 %"), (0.994, "99.4 %"), (0.9995, "99.95 %")]),
    (percent, [(0.99999, "over 99.99 %"), (1, "100 %"), (1.25, "125 %"), (-0.3, "-30 %"), (-1e-9, "over -0.01 %")]),
    (odds, [(1 / 270_123, "1 in 270,000"), (0.4, "40 %"), (0.0045, "1 in 220"), (9.8e-15, "1 in 100 trillion")]),
    (odds, [(1e-9, "1 in 1 billion"), (0, "0 %"), (1, "100 %")]),
    (odds, [(1e-300, "under 1 in 1,000 trillion"), (3.1e-7, "1 in 3.2 million")]),
    (duration, [(0.041, "41 µs"), (2.6, "2.6 ms"), (1400, "1.4 s"), (2.04, "2.0 ms"), (68.3, "68 ms")]),
    (duration, [(0, "0 ms"), (-2.6, "-2.6 ms"), (0.0003, "300 ns"), (1e-9, "under 1 ns"), (75_000, "75 s")]),
    (duration, [(999.6, "1.0 s"), (119_600, "2.0 min"), (3_600_000, "60 min"), (9.96, "10 ms"), (9.5, "9.5 ms")]),
    (size, [(0, "0 bytes"), (1, "1 byte"), (576, "576 bytes"), (46080, "45 KiB"), (11566080, "11.0 MiB")]),
    (size, [(1764, "1.72 KiB"), (32_768_000_000, "30.5 GiB"), (1023 * 1024, "0.999 MiB"), (-2048, "-2 KiB")]),
    (count, [(49152, "49,152"), (7.0, "7"), (0, "0"), (-3, "-3"), (10**16, "over 1,000 trillion")]),
    (index, [(49152, "49152"), (0, "0")]),
    (figure, [(0.0, "0"), (-0.0, "0"), (2.5, "2.5"), (10.0, "10"), (0.041234, "0.0412"), (53.5128, "53.5"), (3, "3")]),
    (figure, [(10691.665, "10,692"), (1e-9, "under 0.000001"), (-1e-9, "over -0.000001"), (-2.25, "-2.25")]),
    (figure, [(9.999, "10"), (1e300, "over 1,000 trillion"), (-1e300, "under -1,000 trillion")]),
    (exact, [(0.1, "0.1"), (1.0, "1"), (1.2345, "1.2345"), (0.1 + 0.2, "0.3"), (49152, "49,152"), (-0.5, "-0.5")]),
    (large, [(49_526_341_632, "49.5 billion"), (7_104_801, "7.1 million"), (2304, "2,304"), (999_999, "1 million")]),
    (equality, [(0, "equal, bit by bit"), (9.5e-7, "equal to 6 digits"), (0.01, "equal to 2 digits")]),
    (equality, [(3.2, "3.2 apart"), (0.05, "0.05 apart")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("write", "value", "shown"), [(write, value, shown) for write, rows in TABLE for value, shown in rows]
)
def test_every_kind_reads_as_in_the_table(write: Callable[[float], str], value: float, shown: str) -> None:
    assert write(value) == shown


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_no_number_reads_as_nothing_and_what_has_no_end_as_infinite(kind: str) -> None:
    write = WRITERS[kind]
    assert (write(None), write(math.nan), write(math.inf), write(-math.inf)) == ("–", "–", "∞", "-∞")


@pytest.mark.parametrize("kind", WRITERS)
@given(value=st.floats() | st.integers())
def test_no_number_is_written_in_powers_of_ten_nor_at_great_length(kind: str, value: float) -> None:
    text = WRITERS[kind](float(value))
    assert not re.search(r"\d[eE][+-]?\d|nan|inf", text)
    assert len(text) <= 40
    assert not text.startswith("-0 ")


def order(text: str) -> float:
    """What a written number says, as a number to sort by."""
    units = {"ns": 1e-6, "µs": 1e-3, "s": 1e3, "min": 6e4, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
    scales = {"million": 1e6, "billion": 1e9, "trillion": 1e12} | units
    edge = {"under": -1e-9, "over": 1e-9}.get(text.split()[0], 0.0)
    found = re.search(r"-?[\d,]*\.?\d+", text)
    assert found is not None
    number = math.prod(scales.get(word, 1) for word in text.split()) * float(found[0].replace(",", ""))
    return number + edge * max(abs(number), 1)


@pytest.mark.parametrize("write", [percent, figure, count, duration, size, large, exact])
@given(pair=st.lists(st.floats(-1e17, 1e17) | st.floats(0, 1.1) | st.floats(0, 1e5), min_size=2, max_size=2))
def test_the_larger_of_two_numbers_never_reads_smaller(write: Callable[[float], str], pair: list[float]) -> None:
    low, high = sorted(pair)
    less, more = order(write(low)), order(write(high))
    assert less <= more or less == pytest.approx(more)


@given(st.floats(1.1e-15, 0.0099))
def test_odds_are_those_of_the_probability(p: float) -> None:
    assert order(odds(p).removeprefix("1 in ")) == pytest.approx(1 / p, rel=0.06)


def test_nouns_agree_with_their_number() -> None:
    assert [plural(n, "token") for n in (0, 1, 2, 1536)] == ["0 tokens", "1 token", "2 tokens", "1,536 tokens"]
    assert [plural(n, "entry", "entries") for n in (1, 2, 0.5)] == ["1 entry", "2 entries", "0.5 entries"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("prefill_ms", 383.06, "383 ms"), ("ms_exact_spread", [23.09, 46.8], "23 to 47 ms"),
        ("hf_us_per_token", 2.44, "2.4 µs"),
        ("cache_bytes", 7787520, "7.43 MiB"), ("bytes", 39, "39"), ("bytes_per_token", 5.125, "5.12"),
        ("p_next", 0.52868, "53 %"), ("needle_p", 8.6e-10, "under 0.01 %"), ("hit_rate", 0.0909, "9.1 %"),
        ("kl_nats", 0.03416, "0.0342 nats"), ("kl_per_skipped_layer", [7.231, 3.694], "7.23, 3.69 nats"),
        ("perplexity_pool", 10691.67, "10,692"), ("candidates", 49152, "49,152"), ("found_column", 1229, "1229"),
        ("flops_multi", 49526341632, "49.5 billion"), ("speedup", 17.438, "17.4 times"),
        ("head_types", {"first token": 191, "same token": 3}, "first token 191, same token 3"),
        ("success_by_variant", {"none": 0.25}, "none 25 %"), ("call_parsed", True, "yes"),
        ("answer", " Paris", " Paris"),
        ("kl_nats", None, "–"), ("p_next", math.nan, "–"), ("pareto_front", [], ""),
        ("top_neurons", [15, 1702], "15, 1702"),
        ("p_end_per_step", [1e-9, 0.003], "under 0.01 %, 0.3 %"), ("logits_max_abs_diff", 0.0, "equal, bit by bit"),
    ],
)  # fmt: skip
def test_a_measurement_is_written_as_its_name_says(name: str, value: Value, shown: str) -> None:
    assert measurement(name, value) == shown


def test_a_kind_can_be_given_instead_of_the_names() -> None:
    assert measurement("p_next", 1e-6, "odds") == "1 in 1 million"
    assert measurement("cache_bytes", 7787520, "count") == "7,787,520"


PLAIN_FLOATS = {
    "feature_angles", "smallest_angle", "top_writer_adds",
    "alpha", "break_even_rank", "causal_violation", "dot", "future_leak", "gain_by_checklist", "head_importance",
    "largest_change_if_zeroed", "row_scale", "simulated_steps_per_s", "steps_by_variant", "steps_with_checklist",
    "steps_with_plan", "token_dot", "weight_rmse", "weight_std", "weight_value_changed",
    "doubled_silu", "stream_norm", "pareto_front", "random_pair_same_signs", "random_pair_same_signs_mean_removed",
    "toy_angle", "winner_angle", "model_gb", "largest_model_gb", "largest_model_times", "step_sizes",
    "promised_zero_step",
    "best_step_size", "best_step_loss", "best_to_promised", "breaks_at_step", "training_to_chat",
    "gradient_to_forward_time", "alpha_most", "by_hand_out", "meaning_a_per_layer", "meaning_b_per_layer",
    "sent_growth", "cosines_apart", "among_to_alone", "activation_max", "activation_typical", "number_in_e4m3",
    "number_in_e5m2", "number_in_fp4", "table_in_layers",
}  # fmt: skip
"""Published numbers whose names tell no kind, and that read right as figures."""


def parts(value: Value) -> list[bool | int | float | str]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]


def test_every_published_number_that_is_not_whole_has_a_kind_on_purpose() -> None:
    without: set[str] = set()
    for lesson in load().lessons.values():
        measured = recorded(RECORDINGS / f"{lesson.id}.msgpack")[-1].measured
        assert set(lesson.data.publishes) == measured.keys()
        without |= {
            name
            for name, value in measured.items()
            if kind_of(name) is None and any(isinstance(part, float) for part in parts(value))
        }
    assert without <= PLAIN_FLOATS


def test_every_published_name_reads_without_powers_of_ten() -> None:
    for lesson in load().lessons.values():
        for name, value in recorded(RECORDINGS / f"{lesson.id}.msgpack")[-1].measured.items():
            if not any(isinstance(part, str) for part in parts(value)):
                assert not re.search(r"\de[+-]?\d|nan", measurement(name, value)), name


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("P", "percent"), ("P( Paris)", "percent"), ("mean P(right)", "percent"), ("probability", "percent"),
        ("wasted share", "percent"), ("share left", "percent"), ("weight", "percent"), ("attention", "percent"),
        ("%", None), ("ms", None), ("nats", None), ("cosine", None), ("weights of a layer", None), ("", None),
    ],
)  # fmt: skip
def test_a_column_or_an_axis_says_what_its_numbers_are(label: str, kind: str | None) -> None:
    assert kind_of_label(label) == kind
