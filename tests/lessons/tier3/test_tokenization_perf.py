"""What the lesson claims: cutting is next to nothing, the trap's work grows with the square, a part of the list is
enough."""

from __future__ import annotations

import pytest

from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import Cancelled
from llm_holes.engine.frames import Bars, Curve, Timeline, View
from llm_holes.engine.measure import Timing
from llm_holes.engine.tokenizer.bpe import BPE
from llm_holes.engine.tokenizer.bpe_steps import steps
from llm_holes.lessons.catalog import catalog
from llm_holes.lessons.catalog.settings import validated
from llm_holes.lessons.shared.counts import weight_bytes
from llm_holes.lessons.shared.passage import passage
from llm_holes.lessons.tier3.tokenization_perf.answers import ANSWER_TOKENS, PROMPT_TOKENS, both_cuts
from llm_holes.lessons.tier3.tokenization_perf.lists import first_merges, least, readings
from llm_holes.lessons.tier3.tokenization_perf.race import of_size, time_size, tokenizers_afresh
from llm_holes.lessons.tier3.tokenization_perf.threads import Shared, helped, one_round
from llm_holes.lessons.tier3.tokenization_perf.trap import (
    AS_IT_IS,
    HEAP,
    OBVIOUS,
    SIZES,
    Trap,
    encode_obviously,
    letters_of,
    set_trap,
)
from tests.support.lessons import frames, measured

ID = "tokenization-perf"


@pytest.fixture(scope="module")
def bpe(engine: Engine) -> BPE:
    return BPE.load(engine.files.folder)


def shown(engine: Engine, key: str) -> View:
    return next(view for view in frames(engine, ID)[-1].views if view.key == key)


def trapped(engine: Engine, bpe: BPE, text: str, every: int = 0) -> Trap:
    trap = Trap(every, text)
    for _ in set_trap(engine, bpe, trap):
        pass
    return trap


@pytest.mark.parametrize("preset", ["", "one word without end", "Chinese"])
def test_three_programs_give_the_same_ids(engine: Engine, preset: str) -> None:
    assert measured(engine, ID, preset)["ids_equal"] is True


def test_a_difference_would_be_noticed(engine: Engine) -> None:
    race, _ = tokenizers_afresh(engine, "some text")
    race.encoders["our Python"] = lambda text: [0, *engine.tokenizer.encode(text)]
    time_size(engine, race, "some text")
    assert race.equal is False


def test_cutting_is_next_to_nothing_and_the_number_of_pieces_is_what_counts(engine: Engine) -> None:
    m = measured(engine, ID)
    assert 0 < m["share_of_answer_time"] < 0.01
    assert m["share_of_answer_time"] == pytest.approx(m["tokenize_ms"] / (m["tokenize_ms"] + m["answer_ms"]))
    assert m["pieces_as_bytes"] > 3 * m["pieces_as_tokens"]
    assert m["byte_answer_vs_one"] > 1.5
    found = shown(engine, "an answer")
    assert isinstance(found, Timeline)
    tokens, single = found.rows
    assert [s.name for s in tokens.stretches][2] == f"write {ANSWER_TOKENS} pieces"
    assert sum(s.ms for s in single.stretches[1:]) == pytest.approx(m["byte_answer_ms"])


def test_the_same_answer_is_written_in_both_cuts(engine: Engine, bpe: BPE) -> None:
    first = frames(engine, ID)[-1].measured
    tokens = engine.tokenizer.encode(passage())[:PROMPT_TOKENS]
    written = engine.write(tokens, ANSWER_TOKENS)
    size = len((engine.tokenizer.decode(tokens) + written).encode())
    assert first["pieces_as_bytes"] == size, "every byte of this text has a piece"
    assert first["pieces_ratio"] == pytest.approx(size / first["pieces_as_tokens"])


def test_in_the_trap_twice_the_letters_are_four_times_the_questions(engine: Engine, bpe: BPE) -> None:
    trap = trapped(engine, bpe, passage())
    assert trap.doubled == pytest.approx(4, rel=0.03)
    assert trap.asked[HEAP][600] / trap.asked[HEAP][300] == pytest.approx(2, rel=0.1)
    assert trap.asked[OBVIOUS][600] > 100 * trap.asked[HEAP][600]
    assert trap.asked[AS_IT_IS][600] < 2 * trap.asked[HEAP][600]
    assert trap.longest_word(bpe) == SIZES[-1]
    assert measured(engine, ID)["doubled_asked"] == trap.doubled


def test_questions_are_all_pairs_before_each_merge_and_once_more_in_vain(engine: Engine, bpe: BPE) -> None:
    trap = trapped(engine, bpe, passage())
    word = trap.bait(100).encode()
    pairs = [99, *(len(merge.pieces) - 1 for merge in steps(bpe, word))]
    assert trap.asked[OBVIOUS][100] == sum(pairs)


@pytest.mark.parametrize(("text", "every", "doubled"), [(passage(), 8, 2.0), ("2718281828", 0, 1.0)])
def test_short_words_shut_the_trap(engine: Engine, bpe: BPE, text: str, every: int, doubled: float) -> None:
    assert trapped(engine, bpe, text, every).doubled == pytest.approx(doubled, rel=0.1)


def test_the_trap_is_made_of_letters_if_there_are_any() -> None:
    assert letters_of("Ça va, 3 fois!") == "Çavafois"
    assert letters_of("1 + 2") == "1+2"
    assert letters_of("  \n") == "  \n"


def test_the_heap_and_the_obvious_way_make_the_same_tokens(engine: Engine, bpe: BPE) -> None:
    bait = Trap(0, passage()).bait(300)
    assert encode_obviously(bpe, bait) == bpe.encode(bait) == engine.tokenizer.encode(bait)


def test_a_part_of_the_list_reads_least_until_a_pass_costs_more(engine: Engine, bpe: BPE) -> None:
    m = measured(engine, ID)
    tokens = list(m["tokens_by_merges"].values())
    assert tokens == sorted(tokens, reverse=True)
    assert tokens[0] == len(passage().encode())
    assert tokens[-1] == m["tokens"] == len(engine.tokenizer.encode(passage()))
    assert (m["best_list"], m["best_merges"]) == ("part", 16384)
    deeper = list(readings(engine, bpe, passage(), 4))
    assert least(deeper) is deeper[-1]
    digits = list(readings(engine, bpe, "2718281828", 1))
    assert least(digits) is digits[0]
    found = shown(engine, "how long a list")
    assert isinstance(found, Bars)
    assert found.values[found.marked or 0] == min(found.values)


def test_with_the_whole_list_a_pass_reads_all_weights(engine: Engine, bpe: BPE) -> None:
    *_, whole = readings(engine, bpe, "one two", 1)
    assert (whole.tokens, whole.nbytes) == (2, 2 * weight_bytes(engine))
    assert whole.rows == engine.model.config.d_vocab


def test_a_shorter_list_is_the_same_tokenizer_stopped_early(bpe: BPE) -> None:
    word = b" unthinkable"
    early = [merge for merge in steps(bpe, word) if merge.rank < 256]
    assert first_merges(bpe, 256).encode_word(word) == list(early[-1].pieces)
    assert first_merges(bpe, 0).encode_word(word) == bpe.spelt(word)


def test_each_size_is_a_frame_with_its_spread(engine: Engine) -> None:
    curves = [v for frame in frames(engine, ID) for v in frame.views if v.key == "time by size"]
    curve = curves[2]
    assert isinstance(curve, Curve)
    for line in curve.series:
        assert line.x == (1000.0, 4000.0, 16000.0)
        assert all(low <= y <= high for low, y, high in zip(line.low, line.y, line.high, strict=True))


def test_threads_help_only_beyond_the_spread() -> None:
    def took(fastest: float, median: float) -> Shared:
        return Shared(1, (), Timing(median, fastest, 2 * median))

    assert helped(took(200, 210), took(110, 120))
    assert not helped(took(200, 210), took(110, 205))
    assert not helped(took(200, 210), took(195, 196))


def test_every_text_is_cut_once_whoever_does_it() -> None:
    seen: list[str] = []
    cut = one_round(lambda text: seen.append(text) or [], ["a", "b", "c", "d", "e"], 2)  # type: ignore[func-returns-value]
    assert sorted(seen) == ["a", "b", "c", "d", "e"]
    assert [text.thread for text in cut] == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("text", ["a", "🙂", " ", "\n", "before\x16after", "كان يا ما كان"])
def test_any_text_can_be_cut_trapped_and_counted(engine: Engine, text: str) -> None:
    race, bpe = tokenizers_afresh(engine, text)
    time_size(engine, race, of_size(text, 1000))
    assert race.equal
    tokens, single = both_cuts(engine, bpe, text)
    assert len(tokens.prompt) <= len(single.prompt) <= 200
    assert encode_obviously(bpe, Trap(0, text).bait(100)) == bpe.encode(Trap(0, text).bait(100))
    assert least(list(readings(engine, bpe, text, 1))).nbytes > 0


def test_a_text_of_spaces_goes_through_all_of_it(engine: Engine) -> None:
    assert measured(engine, ID, text="   ", kilobytes=1)["ids_equal"] is True


def test_the_race_can_be_cancelled(engine: Engine) -> None:
    lesson = catalog.load()[ID]
    stop = False
    run = catalog.experiment(lesson).run(engine.cancellable(lambda: stop), validated(lesson, {}, engine.info))
    next(run)
    stop = True
    with pytest.raises(Cancelled):
        next(run)
