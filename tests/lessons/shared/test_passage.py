"""The passage as tokens: as many as are asked for, and as the context holds."""

from __future__ import annotations

from llm_holes.engine.engine import Engine
from llm_holes.lessons.shared.passage import passage, passage_ids


def test_it_begins_at_the_beginning(small: Engine) -> None:
    assert passage_ids(small, 8) == small.tokenizer.encode(passage())[:8]
    assert passage_ids(small, 0) == []


def test_it_starts_again_where_it_ends_and_stops_where_the_context_does(small: Engine) -> None:
    whole = small.tokenizer.encode(passage())
    most = small.model.config.n_ctx
    found = passage_ids(small, 10 * max(most, len(whole)))
    assert len(found) == most
    assert all(token == whole[n % len(whole)] for n, token in enumerate(found))
