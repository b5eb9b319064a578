"""What the lesson on the FFN claims: a neuron serves many facts, a token is alone, few neurons do most of the work."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError
from llm_holes.engine.frames import Heatmap, Table
from llm_holes.engine.interpret.neurons import columns
from llm_holes.engine.model.hook_names import tap
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.tier3.ffn.readable import readable_pushes
from llm_holes.lessons.tier3.ffn.writer import writers
from tests.support.lessons import frames, measured


def test_the_ffn_is_reproduced_and_each_token_is_alone_in_it(engine: Engine) -> None:
    m = measured(engine, "ffn")
    assert m["ffn_reproduced_relative_diff"] < 1e-4
    assert m["token_isolation_max_abs_diff"] == 0
    assert m["ffn_share_of_parameters"] == pytest.approx(79_626_240 / 134_515_008)
    assert m["expansion"] == pytest.approx(1536 / 576)
    ids = engine.encode("The capital of France is")
    gate = engine.model.forward(torch.tensor([ids]), taps=[tap(22, "mlp.hook_pre")]).acts[tap(22, "mlp.hook_pre")]
    assert m["active_fraction"] == pytest.approx((gate[0, -1] > 0).mean())


def test_a_few_random_neurons_are_not_missed_and_two_thirds_can_be_spared_per_token(engine: Engine) -> None:
    assert measured(engine, "ffn", "8 at random")["kl_ablated"] < 0.01
    third, tenth = (
        measured(engine, "ffn", name)["kl_ablated"] for name in ("two thirds silent", "only the strongest tenth")
    )
    assert third < 0.3 < 1 < tenth


def test_one_neuron_of_the_first_token_matters_and_one_weight_of_it_even_more(engine: Engine) -> None:
    neuron, one_weight = (
        measured(engine, "ffn", name) for name in ("one neuron at the first token", "one weight of it")
    )
    assert neuron["neuron"] == one_weight["neuron"] == 1229
    assert neuron["neuron_share_of_added"] > 0.5
    assert one_weight["kl_ablated"] > 1 > neuron["kl_ablated"] > 0.1


def test_the_neuron_that_writes_paris_holds_up_other_capitals_too(engine: Engine) -> None:
    m = measured(engine, "ffn")
    assert (m["answer"], m["top_writer_layer"], m["top_writer_neuron"]) == (" Paris", 24, 1005)
    assert m["p_answer_without_top_neuron"] < 0.7 * m["p_answer"]
    before, after = m["p_others"], m["p_others_without_top_neuron"]
    assert list(before) == list(after)
    for country in ("Japan", "Germany"):
        assert after[f"The capital of {country} is"] < 0.75 * before[f"The capital of {country} is"]
    hot = "The opposite of hot is"
    assert after[hot] == pytest.approx(before[hot], rel=0.05)
    assert m["others_fallen"] == 2
    assert 0.25 < m["first_other_kept_share"] < 0.9


def test_the_neuron_is_found_for_each_text_and_some_answers_stand_without_it(engine: Engine) -> None:
    opposite = measured(engine, "ffn", "an answer that stands without it")
    phrase = measured(engine, "ffn", "a neuron for one phrase")
    assert (opposite["top_writer_layer"], opposite["top_writer_neuron"]) == (25, 11)
    assert opposite["p_answer_without_top_neuron"] > opposite["p_answer"]
    assert opposite["first_other_kept_share"] > 0.9
    assert list(opposite["p_others"]) == ["The capital of Japan is", "The capital of Germany is"]
    assert phrase["p_answer_without_top_neuron"] < 0.2 * phrase["p_answer"]


def test_what_a_neuron_adds_to_a_score_is_the_difference_it_makes(engine: Engine) -> None:
    """In the last layer nothing follows, so that the sum over all layers can be checked there neuron by neuron."""
    ids, last = engine.encode("The capital of France is"), engine.model.config.n_layers - 1
    found = writers(engine, ids)
    column = columns(engine.model, last)
    end, post = tap(last, "hook_resid_post"), tap(last, "mlp.hook_post")
    acts = engine.model.forward(torch.tensor([ids]), taps=[end, post]).acts
    stream, values = torch.from_numpy(acts[end][0, -1]), torch.from_numpy(acts[post][0, -1])
    rms = stream.square().mean().sqrt()
    neuron = int(found.added[last].argmax())
    written = engine.model.norm(column[:, neuron] * values[neuron], "model.norm")
    scale = (column[:, neuron] * values[neuron]).square().mean().sqrt() / rms
    scores = engine.model.linear(written, "model.embed_tokens") * scale
    assert float(found.added[last, neuron]) == pytest.approx(float(scores[found.answer] - scores.mean()), rel=1e-3)


def test_pushes_are_whole_words(engine: Engine) -> None:
    _, away = readable_pushes(engine, 22, [1240], torch.ones(1))[0]
    assert {" second", " fourth", " fifth", " sixth"} & set(away)
    towards, _ = readable_pushes(engine, 22, [1240], -torch.ones(1))[0]
    assert towards == away
    assert all(text.startswith(" ") and text[1:].isalpha() for text in towards)


def test_the_bet_on_gates_is_cut_away_from_where_texts_are(engine: Engine) -> None:
    cuts = [o.at_least for s in catalog.load()["ffn"].steps if s.bet and s.bet.measurement == "active_fraction"
            for o in s.bet.options if o.at_least is not None]  # fmt: skip
    found = [
        measured(engine, "ffn", text=text)["active_fraction"] for text in ("The capital of France is", "def f(x):")
    ]
    assert cuts == [0.25, 0.35, 0.6]
    assert all(abs(share - cut) > 0.05 for share in found for cut in cuts)


def test_the_chosen_neuron_is_marked_followed_along_the_text_and_found_in_the_passage(engine: Engine) -> None:
    last = frames(engine, "ffn", neuron=7, text="Die Katze 🙂 schläft", position=1)[-1]
    views = {view.key: view for view in last.views}
    firing, along, excites = (views[key] for key in ("neurons", "along the text", "what excites it"))
    assert isinstance(firing, Table)
    assert firing.marked is not None
    assert firing.rows[firing.marked][0] == "7"
    assert isinstance(along, Heatmap)
    assert (along.column_control, along.first, along.row_names[0]) == ("position", 0, "7")
    assert along.cursor == (0, 1)
    assert along.values.numpy().max() == 1
    assert isinstance(excites, Table)
    values = [row[0] for row in excites.rows]
    assert sorted(map(abs, values), reverse=True) == list(map(abs, values))  # type: ignore[arg-type]


def test_one_token_long_texts_and_wrong_neurons(engine: Engine) -> None:
    short = measured(engine, "ffn", text="a", layer=0, others=" | ")
    assert short["token_isolation_max_abs_diff"] == 0
    assert short["others_read"] == 0
    assert short["p_others"] == {}
    long = frames(engine, "ffn", text="one two three " * 90, layer=0, position=200, others="")[-1]
    along = next(view for view in long.views if view.key == "along the text")
    assert isinstance(along, Heatmap)
    assert len(along.column_names) == 16
    assert along.cursor is not None
    assert along.first + along.cursor[1] == 200
    with pytest.raises(InputError):
        frames(engine, "ffn", neuron=1536)
