"""A server that cuts no text: its tokens come from a tokenizer here, if that has its name and makes as many."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tokenizers

from llm_holes.engine.backends import tokens_here
from llm_holes.engine.backends.capabilities import Found, probed
from llm_holes.engine.backends.http import HttpBackend
from llm_holes.engine.backends.local import LocalBackend
from llm_holes.engine.backends.reference import doctor
from llm_holes.engine.checkpoint import installed
from llm_holes.engine.disk import hub_cache
from llm_holes.engine.engine import Engine
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.frames import Text
from tests.engine.backends.conftest import Connect
from tests.support.faulty_server import Faulty

NAME = "org/Words-1B"
HOSTILE = (
    "../../etc", "..", "org/../../etc", "~/model", "./model", "a/b/c", "org/Words-1B@x/../../../secret", "org\x1b[2J/x",
    "org/Words\u202e", "$(reboot)/x", "org/Words-1B\n", "", "org/" + "x" * 400, "file:///etc",
)  # fmt: skip


def write_tokenizer(folder: Path, text: str | None = None) -> Path:
    """A tokenizer that makes one token of each word, or a file with this text in its place."""
    folder.mkdir(parents=True)
    words = tokenizers.models.WordLevel({"[UNK]": 0, "the": 1, "word": 2}, unk_token="[UNK]")
    made = tokenizers.Tokenizer(words)
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    (folder / "tokenizer.json").write_text(made.to_str() if text is None else text)
    return folder


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache of the test's own, which does not exist yet; so is this program's."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LLM_HOLES_CACHE", str(tmp_path / "models"))
    return tmp_path / "hub"


@pytest.fixture
def kept(hub: Path) -> Path:
    """The model's tokenizer, as `hf download --include` leaves it: a link to a blob, and no weights."""
    folder = write_tokenizer(hub / "models--org--Words-1B" / "snapshots" / "abc")
    (hub / "models--org--Words-1B" / "blobs").mkdir()
    (folder / "tokenizer.json").rename(hub / "models--org--Words-1B" / "blobs" / "123")
    (folder / "tokenizer.json").symlink_to("../../blobs/123")
    (hub / "models--org--Words-1B" / "refs").mkdir()
    (hub / "models--org--Words-1B" / "refs" / "main").write_text("abc")
    return folder


@pytest.fixture
def named(faulty: Faulty) -> Iterator[dict[str, str]]:
    """What the servers call their models."""
    yield faulty.names
    faulty.names.clear()


def asked(connect: Connect, fault: str) -> HttpBackend:
    return probed(connect(fault).wire, None).backend


def test_a_tokenizer_in_the_hub_cache_cuts_for_a_server_that_counts_as_many(
    connect: Connect, named: dict[str, str], kept: Path
) -> None:
    named["counts-words"] = NAME
    backend = asked(connect, "counts-words")
    assert "tokenize" in backend.capabilities
    assert backend.tokens_by == "the hub cache's tokenizer; the server counts as many"
    assert [token.data for token in backend.encode("the word")] == [b"the", b"word"]
    # what it puts around a message is counted, too, and the same around each
    chat_only = replace(backend, capabilities=frozenset({"chat", "usage"}))
    assert tokens_here.tokens_here(chat_only, is_near=False).agrees is True


def test_one_that_makes_another_number_is_not_used(connect: Connect, named: dict[str, str], kept: Path) -> None:
    named["counts-letters"] = NAME
    backend = asked(connect, "counts-letters")
    assert "tokenize" not in backend.capabilities
    assert "it counts" in backend.about_tokens
    assert "where the hub cache's tokenizer makes 6." in backend.about_tokens
    with pytest.raises(InputError, match="cuts no text"):
        backend.encode("the word")
    with pytest.raises(ModelError, match="makes 6"):
        tokens_here.tokens_here(replace(backend, capabilities=frozenset({"chat", "usage"})), is_near=False)


def test_where_a_server_counts_nothing_its_tokens_are_believed_and_that_is_said(
    connect: Connect, named: dict[str, str], kept: Path
) -> None:
    named["good"] = NAME
    backend = asked(connect, "good")
    assert "tokenize" in backend.capabilities
    assert backend.tokens_by.endswith("believed the server's too")
    assert "tells no count to check them by" in backend.about_tokens


def test_a_name_that_is_not_in_the_cache_is_told_with_what_fetches_it(connect: Connect, named: dict[str, str]) -> None:
    named["good"] = "org/Words-1B\x1b[2J"
    assert asked(connect, "good").about_tokens.endswith("none that a tokenizer could be found by.")
    named["good"] = "org/Elsewhere-7B"
    backend = asked(connect, "good")
    assert "tokenize" not in backend.capabilities
    assert 'hf download org/Elsewhere-7B --include "*.json"' in backend.about_tokens
    named["good"] = "org/Elsewhere-7B@v2"
    assert "hf download org/Elsewhere-7B --revision v2 --include" in asked(connect, "good").about_tokens
    named["good"] = installed.DEFAULT
    assert "started once without --engine fetches it" in asked(connect, "good").about_tokens
    named["good"] = "gpt-x"
    assert "hf download" not in asked(connect, "good").about_tokens


@pytest.mark.parametrize("text", ["{", "[]", '{"model": null}', "version https://git-lfs.github.com/spec/v1\n", "\0"])
def test_a_tokenizer_that_is_damaged_is_named_and_not_used(connect: Connect, hub: Path, text: str) -> None:
    write_tokenizer(hub / "models--org--Words-1B" / "snapshots" / "abc", text)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        tokens_here.tokens_here(replace(connect("good"), name=NAME), is_near=False)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_model_s_is_looked_up_nowhere(
    connect: Connect, kept: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizer(tmp_path / "etc")
    monkeypatch.chdir(tmp_path)
    (kept.parent.parent / "refs" / "x").mkdir()
    (tmp_path / "secret").write_text("abc")
    with pytest.raises(ModelError) as told:
        tokens_here.tokens_here(replace(connect("good"), name=name), is_near=True)
    assert str(told.value) == "the name of its model is none that a tokenizer could be found by"
    assert told.value.hint == ""


def test_a_path_is_opened_only_where_the_server_is_on_this_machine(
    connect: Connect, named: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tokenizer(tmp_path / "model")
    named["counts-words"] = str(folder)
    near = asked(connect, "counts-words")
    assert near.tokens_by == "the tokenizer in its folder; the server counts as many"
    opened: list[str] = []
    monkeypatch.setattr(tokens_here.hub_cache, "holds_tokenizer", lambda path: opened.append(str(path)))
    monkeypatch.setattr(type(near.wire.address), "here", False)
    far = asked(connect, "counts-words")
    assert "tokenize" not in far.capabilities
    assert "one of another machine" in far.about_tokens
    assert opened == []


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "absent", "long"])
def test_a_path_to_anything_else_than_a_tokenizer_is_refused_at_once(
    connect: Connect, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / ("x" * 4000 if kind == "long" else "model")
    if kind != "long":
        folder.mkdir()
    if kind == "pipe":
        os.mkfifo(folder / "tokenizer.json")
    elif kind == "folder":
        (folder / "tokenizer.json").mkdir()
    elif kind == "link":
        (folder / "tokenizer.json").symlink_to(write_tokenizer(tmp_path / "elsewhere") / "tokenizer.json")
    with pytest.raises(ModelError):
        tokens_here.tokens_here(replace(connect("good"), name=str(folder)), is_near=True)


def test_the_default_model_s_tokenizer_is_found_by_its_name_on_the_hub(
    connect: Connect, named: dict[str, str], tmp_path: Path
) -> None:
    folder = write_tokenizer(tmp_path / "models" / installed.DEFAULT_KEY)
    files = {"name": installed.DEFAULT, "folder": "", "sha256": "", "source": "", "weight_format": ""}
    manifest = {"version": installed.VERSION, "model": files, "files": {}}
    (folder / installed.MANIFEST).write_text(json.dumps(manifest))
    for name in (installed.DEFAULT, installed.DEFAULT_HUB):
        named["counts-words"] = name
        assert asked(connect, "counts-words").tokens_by.startswith("our cache's tokenizer;")
    named["counts-words"] = f"other/{installed.DEFAULT}"
    assert "tokenize" not in asked(connect, "counts-words").capabilities


def test_the_snapshot_with_a_tokenizer_is_found_and_is_still_no_model(kept: Path) -> None:
    assert hub_cache.find_tokenizer(NAME) == kept
    assert hub_cache.find(NAME) is None


def test_the_doctor_says_where_the_tokens_come_from(connect: Connect, named: dict[str, str], kept: Path) -> None:
    named["counts-words"] = NAME
    last = [*doctor(asked(connect, "counts-words"))][-1]
    told = next(view for view in last.views if isinstance(view, Text))
    assert told.text == (
        "Tokens are those of the hub cache's tokenizer: the server cuts none for others, and counts as many."
    )
    assert last.measured["tokens counted but not cut"] == 0.0


def test_transformers_serve_has_the_engine_s_tokens_and_counts_as_many(engine: Engine, transformers: Found) -> None:
    backend = transformers.backend
    for text in (*tokens_here.TEXTS, "<|im_start|>user\n👩‍🚀", ""):
        for specials in (False, True):
            assert backend.encode(text, specials) == LocalBackend(engine).encode(text, specials)
    assert backend.tokens_by == "the tokenizer in its folder; the server counts as many"
