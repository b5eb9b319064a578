"""The passage as tokens: as many as are asked for, and as the context holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from llm_holes.engine.checkpoint import store
from llm_holes.engine.engine import Engine
from llm_holes.lessons.shared.passage import after_passage, passage, passage_ids
from tests.support import tokenizer_kinds as kinds
from tests.support.lessons import run

BOS = 1
TEMPLATE = "{{ bos_token }}{% for m in messages %}[INST] {{ m.content }} [/INST]{% endfor %}"


def with_bos(folder: Path, template: str = TEMPLATE) -> Engine:
    named = {"bos_token": "<s>", "eos_token": "</s>"} | ({"chat_template": template} if template else {})
    made = kinds.write_model(folder, kinds.space_bpe(), named, max_position_embeddings=1024)
    return Engine.load(store.locate(str(made), lambda status: None), threads=1)


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
    engine = with_bos(tmp_path / "m")
    found = passage_ids(engine, 40)
    assert found == engine.encode(passage()[:200])[:40]
    assert found.count(BOS) == 1


def test_a_prompt_after_it_loses_its_bos_and_one_alone_keeps_it(tmp_path: Path, small: Engine) -> None:
    engine = with_bos(tmp_path / "m")
    ids = engine.chat("Hello")
    assert ids[0] == BOS
    assert after_passage(engine, [], ids) == ids
    assert after_passage(engine, passage_ids(engine, 9), ids) == passage_ids(engine, 9) + ids[1:]
    prompt = small.chat("Hello")
    assert after_passage(small, passage_ids(small, 9), prompt) == passage_ids(small, 9) + prompt


@pytest.mark.parametrize("template", [TEMPLATE, ""])
@pytest.mark.parametrize("lesson", ["kv-cache", "kv-cache-offloading"])
def test_what_a_lesson_reads_after_it_has_one_bos_at_its_very_start(
    lesson: str, template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[list[int]] = []
    fits = Engine.fits

    def told(engine: Engine, ids: Sequence[int], new_tokens: int = 0) -> list[int]:
        read.append([*ids])
        return fits(engine, ids, new_tokens)

    monkeypatch.setattr(Engine, "fits", told)
    run(with_bos(tmp_path / "m", template), lesson, context_tokens=64, max_new_tokens=2)
    assert max(map(len, read)) > 64
    assert all((ids[0], ids.count(BOS)) == (BOS, 1) for ids in read)
