"""The passage as tokens: as many as are asked for, and as the context holds."""

from __future__ import annotations

from pathlib import Path

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.lessons.shared.passage import passage, passage_ids
from tests.support import tokenizer_kinds as kinds


def test_it_begins_at_the_beginning(small: Engine) -> None:
    assert passage_ids(small, 8) == small.tokenizer.encode(passage())[:8]
    assert passage_ids(small, 0) == []


def test_it_starts_again_where_it_ends_and_stops_where_the_context_does(small: Engine) -> None:
    whole = small.tokenizer.encode(passage())
    most = small.model.config.n_ctx
    found = passage_ids(small, 10 * max(most, len(whole)))
    assert len(found) == most
    assert all(token == whole[n % len(whole)] for n, token in enumerate(found))


def test_it_has_the_bos_that_the_tokenizer_puts_in_front_of_a_text(tmp_path: Path) -> None:
    folder = kinds.write_model(tmp_path / "m", kinds.space_bpe(), {})
    engine = Engine.load(store.locate(str(folder), lambda status: None), threads=1)
    found = passage_ids(engine, 40)
    assert found == engine.encode(passage()[:200])[:40]
    assert found.count(1) == 1
