"""What a run tells of its work, as the heartbeat finds it."""

from __future__ import annotations

from llm_holes.engine.work import LAYER, Doing, Watch, Work


def through_the_layers(watch: Watch, tokens: int, layers: int = 3) -> None:
    for layer in range(layers):
        watch.tell(Work(LAYER, layer + 1, layers, tokens))


def test_nothing_is_told_of_a_run_that_has_not_begun() -> None:
    watch = Watch()
    assert (watch.doing, watch.is_cancelled()) == (None, False)
    watch.cancel()
    assert watch.is_cancelled()


def test_each_way_through_the_layers_is_a_pass_and_those_of_one_token_are_counted_since_the_last_longer_one() -> None:
    watch = Watch()
    through_the_layers(watch, 5)
    assert watch.doing == Doing(Work(LAYER, 3, 3, 5), passes=1)
    for _ in range(2):
        through_the_layers(watch, 1)
    assert watch.doing == Doing(Work(LAYER, 3, 3, 1), passes=3, steps=2)
    watch.tell(Work("matrix", 7, 9))
    assert watch.doing == Doing(Work("matrix", 7, 9), passes=3, steps=2)
    watch.tell(Work(LAYER, 2, 3, 5))
    assert watch.doing == Doing(Work(LAYER, 2, 3, 5), passes=4)


def test_readings_of_a_text_are_counted_in_its_tokens_however_it_is_cut() -> None:
    watch = Watch()
    watch.expect(2.4, 10)
    told = []
    for tokens in (5, 5, 10):
        through_the_layers(watch, tokens)
        assert watch.doing is not None
        told.append((watch.doing.readings, watch.doing.of_readings))
    assert told == [(1, 2), (1, 2), (2, 2)]
