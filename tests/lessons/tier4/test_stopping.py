"""What the lesson says of the end: it comes where the request is fulfilled, and not without a look at the number."""

from __future__ import annotations

import pytest
import torch

from llm_holes.engine.engine import Engine
from llm_holes.engine.frames import Diff, Heatmap, RankRace, Table, Text, View
from llm_holes.engine.generation.generate import Limits
from llm_holes.engine.generation.sampling import SamplingParams
from llm_holes.lessons.tier4.stopping.endings import astride, holding
from llm_holes.lessons.tier4.stopping.experiment import LONGEST
from llm_holes.lessons.tier4.stopping.reading import look_at_number
from llm_holes.lessons.tier4.stopping.requests import boundaries, end_tokens, places
from llm_holes.lessons.tier4.stopping.text_ends import number_in, value_of, variants
from tests.support.lessons import frames, measured

ID = "stopping"


def shown(engine: Engine, key: str, preset: str = "", **settings: object) -> View:
    return next(view for view in frames(engine, ID, preset, **settings)[-1].views if view.key == key)


def test_the_end_is_likeliest_after_as_many_lines_as_were_asked_for(engine: Engine) -> None:
    found = shown(engine, "number asked for")
    assert isinstance(found, Heatmap)
    assert found.row_names == ("two", "three", "four", "five")
    p = torch.from_numpy(found.values.numpy().copy())
    assert (p.argmax(1) + 1).tolist() == [2, 3, 4, 5]
    assert all(float(row[: line - 1].max()) < 0.3 < 0.6 < float(row[line - 1]) for line, row in enumerate(p, 2))
    m = measured(engine, ID)
    assert m["p_end_per_boundary"] == pytest.approx(p[1].tolist(), abs=1e-5)
    assert m["boundary_of_peak"] == 3
    assert measured(engine, ID, "asked for two")["boundary_of_peak"] == 2


def test_without_a_look_at_the_number_the_peak_is_gone(engine: Engine) -> None:
    m = measured(engine, ID)
    assert m["p_end_at_peak"] > 0.7 > 0.2 > m["p_end_at_peak_blinded"]
    hidden = shown(engine, "number asked for", hide_number=True, max_new_tokens=1)
    assert isinstance(hidden, Heatmap)
    assert float(hidden.values.numpy()[1, 2]) == pytest.approx(m["p_end_at_peak_blinded"], abs=1e-4)
    assert "hidden" in hidden.title


def test_from_full_stop_to_full_stop_the_end_gains_only_where_all_is_said(engine: Engine) -> None:
    first, second, third = measured(engine, ID, "from full stop to full stop")["p_end_per_boundary"]
    assert max(first, second) < 0.05 < 0.8 < third


def test_the_race_has_the_end_on_every_step_and_marks_where_lines_end(engine: Engine) -> None:
    race = shown(engine, "rank race")
    assert isinstance(race, RankRace)
    end, rival = race.runners[0], race.runners[1]
    m = measured(engine, ID)
    assert list(end.ranks) == m["end_rank_per_step"]
    assert [race.steps[i] for i in race.stops] == ["⏎", "⏎", m["end_token"]]
    assert (rival.name, [rival.ranks[i] for i in race.stops]) == ("⏎", [1, 1, 2])


def test_the_end_comes_near_only_where_a_line_is_over(engine: Engine) -> None:
    m = measured(engine, ID)
    assert m["end_nearer_at_ends"]
    assert m["end_rank_at_ends"] < 20 < 500 < m["end_rank_inside"]
    assert (m["peak_as_asked"], m["dark_before_peak"], m["look"]) == (True, True, "needed")


def test_the_race_grows_with_the_answer(engine: Engine) -> None:
    third = frames(engine, ID)[2].views[0]
    assert isinstance(third, RankRace)
    assert [runner.ranks for runner in third.runners] == [tuple(measured(engine, ID)["end_rank_per_step"][:3])]


def test_of_two_ends_one_is_used_and_mostly_in_a_chat(engine: Engine) -> None:
    assert [engine.token_text(token) for token in end_tokens(engine)] == ["<|im_end|>", "<|endoftext|>"]
    found, m = shown(engine, "two ends"), measured(engine, ID)
    assert isinstance(found, Heatmap)
    assert found.row_names == ("<|im_end|>", "as bare text", "<|endoftext|>", "as bare text")
    at_peak = found.values.numpy()[:, m["boundary_of_peak"] - 1].tolist()
    assert at_peak[0] == pytest.approx(m["p_end_at_peak"], abs=1e-5)
    assert at_peak[1] == pytest.approx(m["p_end_at_peak_bare"], abs=1e-6)
    assert at_peak[2] == pytest.approx(m["p_other_end_at_peak"], abs=1e-9)
    assert at_peak[0] > 50 * at_peak[1] > 50 * at_peak[2]
    assert m["other_end_unused"]


def test_the_same_answer_ends_in_four_ways(engine: Engine) -> None:
    found, m = shown(engine, "what ends it"), measured(engine, ID)
    assert isinstance(found, Table)
    assert [row[1] for row in found.rows] == ["end token", "max tokens", "stop string", "context full"]
    assert [row[2] for row in found.rows][::3] == [m["tokens_generated"], 46 - m["prompt_tokens"]]
    assert all(str(row[3]).strip("“”")[:5] == "1. Re" for row in found.rows)


def test_little_is_said_of_an_end_that_is_far_away() -> None:
    assert [look_at_number(*found) for found in ((0.002, 0.004), (0.8, 0.1), (0.1, 0.8), (0.8, 0.7))] == [
        "far from an end", "needed", "in the way", "hardly"
    ]  # fmt: skip


def test_a_context_that_the_prompt_fills_leaves_no_room(engine: Engine) -> None:
    m = measured(engine, ID, context=8, max_new_tokens=1)
    assert (m["context_end"], m["tokens_until_full"]) == ("no room", 0)


def test_a_small_context_runs_full_and_writes_the_same_until_then(engine: Engine) -> None:
    prompt = engine.chat("Name three colors, as a numbered list.")
    small = list(holding(engine, len(prompt) + 4).generate(prompt, SamplingParams(), Limits(20)))
    free = list(engine.generate(prompt, SamplingParams(), Limits(4)))
    assert small[-1].stop_reason == "context full"
    assert [step.token for step in small] == [step.token for step in free]


def test_a_stop_string_lies_astride_two_tokens(engine: Engine) -> None:
    ids = engine.tokenizer.encode("The capital of France is Paris.")
    stop = astride(engine, ids)
    assert stop in "The capital of France is Paris."
    assert not any(stop in engine.token_text(token) for token in ids)
    assert astride(engine, engine.tokenizer.encode("a")) == ""


def test_an_answer_that_something_else_ended_is_shown_as_it_is(engine: Engine) -> None:
    assert isinstance(shown(engine, "if it may not stop"), Diff)
    cut = shown(engine, "if it may not stop", "a stop string inside a token")
    assert isinstance(cut, Text)
    assert cut.text == measured(engine, ID, "a stop string inside a token")["answer"]


def test_of_a_message_beyond_reading_in_many_ways_the_end_is_used(engine: Engine) -> None:
    long = measured(
        engine, ID, text="It rains. " * 200 + "Name two colors.", text_b="1. Red\\n2. Blue", max_new_tokens=1
    )
    assert long["message_cut"] is True
    assert long["hidden"] == "the number two"
    assert LONGEST < long["prompt_tokens"] < LONGEST + 50
    assert measured(engine, ID)["message_cut"] is False


def test_lines_and_sentences_end_where_a_reader_would_say(engine: Engine) -> None:
    def ends(text: str) -> list[str]:
        ids = engine.tokenizer.encode(text)
        return [engine.tokenizer.decode(ids[:end]) for end in boundaries(engine, ids)]

    assert ends("1. Red\n2. Blue") == ["1. Red", "1. Red\n2. Blue"]
    assert ends("It rains. It is 1.5 m deep!\n\nOh") == [
        "It rains.", "It rains. It is 1.5 m deep!", "It rains. It is 1.5 m deep!\n\nOh"
    ]  # fmt: skip
    assert boundaries(engine, []) == []


def test_the_number_in_a_message_is_found_and_replaced() -> None:
    assert number_in("Is anyone there? Name Three phones.") == "Three"
    assert variants("Name 6 colors") == {n: f"Name {n} colors" for n in "23456"}
    assert variants("Name Three colors")["Three"] == "Name Three colors"
    assert variants("Why?") == {"": "Why?"}
    assert [value_of(number) for number in ("Three", "7", "")] == [3, 7, 0]


def test_the_number_is_hidden_in_the_message_and_not_in_the_rest_of_the_prompt(engine: Engine) -> None:
    message = "Name three colors on a phone."
    prompt = engine.chat(message)
    assert [engine.token_text(prompt[i]) for i in places(engine, prompt, message)] == [" three"]
    whole = places(engine, prompt, "on a phone.")
    assert "".join(engine.token_text(prompt[i]) for i in whole) == " on a phone."
