"""What `--engine` takes, where a key goes, and when a busy server is asked again."""

from __future__ import annotations

import pickle

import pytest

from llm_holes.engine.backends.key import key_for
from llm_holes.engine.backends.retry import ATTEMPTS, LONGEST_SECONDS, wait_before
from llm_holes.engine.ipc.address import AddressError, address_of

SECRET = "sk-nobody-may-read-this"


def test_an_address_is_read() -> None:
    address = address_of("https://gpu.example:8000/v1/")
    assert (address.url, address.root, address.host) == (
        "https://gpu.example:8000/v1", "https://gpu.example:8000", "gpu.example"
    )  # fmt: skip
    assert address.encrypted
    assert not address.here
    assert all(address_of(f"http://{host}/v1").here for host in ("localhost:80", "127.0.0.1", "[::1]:8000"))


@pytest.mark.parametrize(
    "text",
    ["https://", "ftp://host/v1", "https://me:sesame@host/v1", "https://host/v1?key=sesame", "https://host:x/v1",
     "https://host/v1#sesame", "https://[/v1", "https://ho\x1bst/v1"],
)  # fmt: skip
def test_another_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(AddressError) as told:
        address_of(text)
    assert "sesame" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "environment", "is_sent"),
    [
        ("https://host/v1", {"LLM_HOLES_API_KEY": SECRET}, True),
        ("https://host/v1", {"OPENAI_API_KEY": SECRET}, True),
        ("http://127.0.0.1:8000/v1", {"OPENAI_API_KEY": SECRET}, True),
        ("http://host/v1", {"LLM_HOLES_API_KEY": SECRET}, False),
        ("https://host/v1", {"LLM_HOLES_API_KEY": "två\n"}, False),
        ("https://host/v1", {}, False),
    ],
)
def test_a_key_is_sent_only_where_nobody_listens_in(url: str, environment: dict[str, str], is_sent: bool) -> None:
    key = key_for(address_of(url), environment)
    assert bool(key) is is_sent
    assert SECRET not in f"{key} {key!r} {vars(key).keys()}"
    assert key.hidden(f"Bearer {SECRET}!") == (f"Bearer {'[the key]' if is_sent else SECRET}!")
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_the_first_of_the_two_names_counts() -> None:
    both = {"LLM_HOLES_API_KEY": SECRET, "OPENAI_API_KEY": "another"}
    assert key_for(address_of("https://host/v1"), both).hidden(SECRET) == "[the key]"


def test_waits_double_are_spread_and_end() -> None:
    shortest = [wait_before(n, 429, None, chance=lambda: 0.0) for n in range(1, ATTEMPTS + 1)]
    longest = [wait_before(n, 503, None, chance=lambda: 1.0) for n in range(1, ATTEMPTS + 1)]
    assert shortest == [0.25, 0.5, 1.0, 2.0, None]
    assert longest == [0.5, 1.0, 2.0, 4.0, None]


@pytest.mark.parametrize(
    ("header", "wait"),
    [("3", 3.0), ("Thu, 01 Jan 1970 00:00:07 GMT", 7.0), ("nonsense", 0.25), ("3600", None), ("9" * 400, None),
     (str(int(LONGEST_SECONDS)), LONGEST_SECONDS)],
)  # fmt: skip
def test_what_a_server_asks_for_is_waited_unless_it_is_long(header: str, wait: float | None) -> None:
    assert wait_before(1, 429, header, chance=lambda: 0.0, now=lambda: 0.0) == wait


def test_what_is_wrong_for_good_is_not_asked_again() -> None:
    assert wait_before(1, 500, None) is None
    assert wait_before(1, 401, "1") is None
