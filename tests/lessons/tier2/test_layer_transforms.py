"""What the lesson on a layer's operations claims: a matrix moves and a bend folds, two matrices are one, the real layer
is recomputed exactly, and what happens without its parts."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled, InputError
from llm_holes.engine.frames import Bars, Curve, Frame, Plane, Table, View
from llm_holes.engine.measure import fingerprint
from llm_holes.engine.model.hook_names import tap
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from llm_holes.lessons.tier2.layer_transforms.toy import stages, toy
from llm_holes.lessons.tier2.layer_transforms.typed import numbers
from tests.support.lessons import frames, measured

QUICK: dict[str, Any] = {"kl_tokens": 8, "max_new_tokens": 1, "layers": "only one"}
V = TypeVar("V", bound=View)


def on_paper(engine: Engine, **settings: Any) -> Frame:
    """The first frame of a run, which needs no model but the code of its layers."""
    lesson = catalog.load()["layer-transforms"]
    first: Frame = next(catalog.experiment(lesson).run(engine, validated(lesson, settings, engine.info)))
    return first


def shown(engine: Engine, key: str, kind: type[V], **settings: str) -> V:
    view = next(v for v in on_paper(engine, **settings).views if v.key == key)
    assert isinstance(view, kind)
    return view


@pytest.mark.parametrize("typed", ["1 0.5 / 0 -1", "[[1, .5], [0, -1]]", "1 0.5\n0 −1", "1;0.5;0;-1.0"])
def test_a_matrix_is_read_however_it_is_typed(typed: str) -> None:
    assert numbers(typed, "matrix", 2, 2).tolist() == [[1, 0.5], [0, -1]]


@pytest.mark.parametrize("typed", ["", "1 2 3", "1 2 3 4 5", "🙂", "1 2 3 1001"])
def test_what_is_no_such_matrix_is_refused_in_words(typed: str) -> None:
    with pytest.raises(InputError, match="matrix"):
        numbers(typed, "matrix", 2, 2)


def test_the_toy_is_two_matrices_and_a_bend_in_the_code_of_the_model(engine: Engine) -> None:
    wide, narrow = torch.randn(4, 3), torch.randn(3, 4)
    x = torch.randn(7, 3)
    made = stages(toy(engine.model, wide, narrow, "ReLU"), x)
    assert torch.allclose(made.before_bend, x @ wide.T, atol=1e-6)
    assert torch.allclose(made.added, (x @ wide.T).relu() @ narrow.T, atol=1e-5)


def sum_of(products: str) -> float:
    """What `2·1 - 1·(-1)` comes to."""
    found = re.findall(r"([-+]?) ?([\d.]+)·\(?([-\d.]+)", products)
    return sum((-1 if sign == "-" else 1) * float(a) * float(b) for sign, a, b in found)


def test_every_product_is_shown_and_adds_up(engine: Engine) -> None:
    table = shown(engine, "by hand", Table)
    assert [row[0] for row in table.rows] == [*(f"wide {n}" for n in range(1, 5)), *(f"narrow {n}" for n in (1, 2, 3))]
    for _, products, total, _ in table.rows:
        assert sum_of(str(products)) == pytest.approx(float(total))
    assert on_paper(engine).measured["by_hand_out"] == [3, 1, -2]
    assert table.title == "in: 2  -1  1   out: 3  1  -2"


SHEET = {"a matrix": "after", "a bend": "after the bend"}


def off_the_straight(line: torch.Tensor) -> float:
    """How far the points of a line [points, 2] lie beside the way from its first to its last."""
    way, points = line[-1] - line[0], line - line[0]
    return float((points[:, 0] * way[1] - points[:, 1] * way[0]).abs().max())


def test_a_matrix_keeps_lines_straight_and_relu_folds_them(engine: Engine) -> None:
    for key, straight in (("a matrix", True), ("a bend", False)):
        plane = shown(engine, key, Plane, matrix="1 0.6 / -0.3 1")
        lines = [torch.tensor((line.x, line.y)).T for line in plane.dots if line.name == SHEET[key]]
        assert len(lines) == 12
        assert (max(map(off_the_straight, lines)) < 1e-4) is straight
    folded = [line for line in shown(engine, "a bend", Plane).dots if line.name == "after the bend"]
    assert min(min(*line.x, *line.y) for line in folded) == 0


def test_the_norm_puts_every_point_on_one_circle(engine: Engine) -> None:
    plane = shown(engine, "a bend", Plane, bend="norm")
    points = [p for line in plane.dots if line.name == "after the bend" for p in zip(line.x, line.y, strict=True)]
    lengths = [math.hypot(*point) for point in points if math.hypot(*point) > 0.1]
    assert max(lengths) == pytest.approx(math.sqrt(2), rel=1e-3)
    assert sum(length > 1.41 for length in lengths) > 0.95 * len(lengths)


def test_without_a_bend_one_matrix_does_what_two_do_and_with_one_it_does_not(engine: Engine) -> None:
    found: dict[str, dict[str, Any]] = {
        bend: dict(on_paper(engine, bend=bend).measured) for bend in ("none", "ReLU", "SiLU")
    }
    assert found["none"]["one_matrix_misses_share"] < 1e-5
    assert found["none"]["one_matrix"] == "exact"
    assert min(found[bend]["one_matrix_misses_share"] for bend in ("ReLU", "SiLU")) > 1 / 3
    lines = {bend: shown(engine, "one matrix instead", Curve, bend=bend).series for bend in found}
    apart = {bend: np.abs(np.subtract(layer.y, matrix.y)).max() for bend, (layer, matrix) in lines.items()}
    assert apart["none"] < 1e-4 < 1 < apart["ReLU"]


def test_a_bend_can_be_undone_by_the_matrices_around_it(engine: Engine) -> None:
    preset = catalog.load()["layer-transforms"].preset("a bend that is undone")
    undone = on_paper(engine, **preset.settings).measured
    assert undone["bent_numbers"] == 2
    assert undone["one_matrix"] == "exact in spite of the bend"


def test_the_lengths_are_those_of_the_tapped_stream(engine: Engine) -> None:
    m = measured(engine, "layer-transforms")
    points = ["hook_resid_pre", "hook_attn_out", "hook_mlp_out", "hook_resid_post"]
    ids = torch.tensor([engine.encode("The capital of France is")])
    acts = engine.model.forward(ids, taps=[tap(15, point) for point in points]).acts
    lengths = [float(np.linalg.norm(acts[tap(15, point)][0, 4])) for point in points]
    names = ("stream_norm", "update_norm_attention", "update_norm_ffn", "stream_norm_after")
    assert [m[name] for name in names] == pytest.approx(lengths, rel=1e-4)
    assert m["recomputed_max_abs_diff"] < 1e-4
    assert m["shapes"]["2 query"] == "576 → 9×64"
    assert "576 → 1536" in m["shapes"].values()


def test_two_matrices_of_the_model_are_one_and_a_product_is_not_straight(engine: Engine) -> None:
    m = measured(engine, "layer-transforms")
    assert m["two_matrices_one_relative_diff"] < 1e-4 < 0.1 < m["ffn_differs_from_one_matrix"]
    assert m["doubled_without_gate"] == pytest.approx(2, rel=1e-4)
    assert m["doubled_without_nonlinearity"] == pytest.approx(4, rel=1e-4)
    assert 2 < m["doubled_silu"] < 4


def test_without_a_bend_the_model_is_worse_than_knowing_nothing(engine: Engine) -> None:
    unbent = measured(engine, "layer-transforms", change="no bend")
    assert unbent["loss_changed"] > unbent["loss_knowing_nothing"] > unbent["loss_intact"]
    assert (unbent["outcome"], unbent["knowledge_lost_share"] > 1) == ("worse", True)
    assert 0.1 < unbent["kl_gelu"] < unbent["kl_relu"] < unbent["kl_without_nonlinearity"] == unbent["kl_nats"]
    one = measured(engine, "layer-transforms", "one layer without its bend")
    assert (one["outcome"], one["knowledge_lost_share"] < 0.25) == ("better", True)


def test_one_layer_without_its_norm_or_its_addition_ruins_the_rest(engine: Engine) -> None:
    for preset in ("one layer without its norm", "one layer that does not add"):
        assert measured(engine, "layer-transforms", preset)["changed_words_share"] > 0.9
    m = measured(engine, "layer-transforms", "one layer that does not add")
    assert m["kl_without_attention"] < m["kl_without_ffn"] < 0.2 < 5 < m["kl_without_residual"]


def test_numbers_that_grow_until_they_are_none_are_called_that(engine: Engine) -> None:
    m = measured(engine, "layer-transforms", change="no norm")
    assert (m["outcome"], m["changed_words_share"], m["kl_nats"]) == ("overflow", 1, math.inf)
    assert m["undo_bit_identical"] is True


def test_what_each_part_costs_stands_between_knowing_all_and_nothing(engine: Engine) -> None:
    last = frames(engine, "layer-transforms")[-1]
    bars = next(view for view in last.views if view.key == "what it costs")
    assert isinstance(bars, Bars)
    assert bars.labels[0] == "as it is"
    assert bars.labels[-1] == "knowing nothing"
    assert bars.values[0] == last.measured["loss_intact"]
    assert bars.marked is not None
    assert bars.labels[bars.marked] == "GELU for SiLU"


def test_the_first_token_is_huge(engine: Engine) -> None:
    last = frames(engine, "layer-transforms", "the first token")[-1]
    bars = next(view for view in last.views if view.key == "what each part adds")
    assert isinstance(bars, Bars)
    assert bars.values[-1] > 50 * bars.values[0]
    parts = next(view for view in last.views if view.key == "step by step")
    assert isinstance(parts, Table)
    assert len(parts.rows) == 16
    assert [row[0] for row in parts.rows if row[-1] == "–"] == ["6 scores", "7 softmax"]


@pytest.mark.parametrize("text", ["a", "🙂", "日本"])
def test_any_text_and_a_position_beyond_its_end(engine: Engine, text: str) -> None:
    m = measured(engine, "layer-transforms", **QUICK, text=text)
    assert m["undo_bit_identical"] is True
    assert m["recomputed_max_abs_diff"] < 1e-2


def test_cancelled_in_the_middle_the_model_is_as_it_was(engine: Engine) -> None:
    hashed, asked = fingerprint(engine.model.weights), itertools.count()
    with pytest.raises(Cancelled):
        frames(engine.cancellable(lambda: next(asked) > 250), "layer-transforms", text="a cat")
    assert fingerprint(engine.model.weights) == hashed
