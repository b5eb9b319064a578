"""Whatever a chat template does, it is over soon, in little memory, and with the process that asked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.tokenizer import chat_template
from llm_holes.engine.tokenizer.chat_template import TemplateRefusal, render
from llm_holes.engine.tokenizer.template_limits import MAX_MEMORY, MAX_PROMPT
from tests.support.clock import AtMost
from tests.support.processes import alive, within

HI = {"messages": [{"role": "user", "content": "hi"}]}
PLAIN = "{{ messages[0].content }}"
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
HOSTILE = {
    "powers": "{{ 9 ** (9 ** 9) }}",
    "powers of what is not known beforehand": "{{ ((9 + messages | length) ** (9 ** 8)) % 7 }}",
    "a text times a number": "{{ 'x' * 10 ** 10 }}",
    "a list times a number": "{{ [0] * 10 ** 9 }}",
    "a text doubled": "{% set ns = namespace(s='x') %}{% for _ in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "a list doubled": "{% set ns = namespace(s=[0]) %}{% for _ in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "lists in lists": "{% set ns = namespace(s=[0]) %}{% for _ in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}"
    "{{ ns.s }}",
    "center": "{{ 'x' | center(10 ** 10) }}",
    "indent": "{{ ('a\\n' * 10 ** 6) | indent(10 ** 6) }}",
    "replace": "{{ ('x' * 10 ** 6) | replace('x', 'x' * 10 ** 6) }}",
    "format": "{{ '%099999999999d' | format(1) }}",
    "lipsum": "{{ lipsum(n=10 ** 9) }}",
    "slice": "{{ range(99999) | slice(10 ** 9) | list }}",
    "cycler": "{% set c = cycler(*('x' * 10 ** 9)) %}{{ c.next() }}",
    "batch": "{{ 'x' | batch(10 ** 9, 'x') | list }}",
    "tojson": "{{ [[[[messages]]]] | tojson(indent=10 ** 9) }}",
    "a date": "{{ strftime_now('%c' * 10 ** 7) }}",
    "wrapped words": "{{ ('x ' * 10 ** 7) | wordwrap(2) }}",
    "links": "{{ ('www.' * 10 ** 7) | urlize }}",
    "an endless loop": ENDLESS,
    "endless output": "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
    "a macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a loop in itself": "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
    "deep nesting": "{{ " + "(" * 30_000 + "1" + ")" * 30_000 + " }}",
    "deep lists": "{{ " + "[" * 30_000 + "]" * 30_000 + " }}",
    "a chain of filters": "{{ 1" + "|int" * 15_000 + " }}",
    "a long sum": "{{ 1" + "+1" * 30_000 + " }}",
    "a long error": "{{ raise_exception('x' * 10 ** 8) }}",
    "an error of many lines": "{{ raise_exception('\\x1b[2J\\n' * 10 ** 5) }}",
    "reaching into Python": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "reaching through a global": "{{ raise_exception.__globals__.os.name }}",
    "changing its input": "{{ messages.append(1) }}",
    "division by zero": "{{ 1 // 0 }}",
    "syntax": "{% for %}",
    "length": "x" * 70_000,
    "half a character": "{{ '\ud800' * 10 ** 7 }}",
}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Less time than templates get outside tests, until it is undone."""
    ask = chat_template.RENDERER.ask
    monkeypatch.setattr(chat_template.RENDERER, "ask", lambda request: ask(request, 0.3))
    return monkeypatch


class Peak:
    bytes = 0


@contextmanager
def watched() -> Iterator[Peak]:
    """The most memory that the renderer has had, looked at often."""
    peak, over = Peak(), threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            try:
                status = Path(f"/proc/{chat_template.RENDERER.pid}/status").read_text()
                peak.bytes = max(peak.bytes, *(int(kb) * 1024 for kb in re.findall(r"VmHWM:\s*(\d+)", status)))
            except (OSError, TypeError):
                pass

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_one_sentence_soon_and_in_little_memory(
    name: str, short: pytest.MonkeyPatch, at_most: AtMost
) -> None:
    with watched() as peak, at_most(2), pytest.raises((ModelError, InputError)) as caught:
        render(HOSTILE[name], HI)
    assert re.fullmatch(r"[^\n]{10,800}", str(caught.value))
    assert isinstance(caught.value, ModelError | InputError)
    assert caught.value.hint
    assert peak.bytes < MAX_MEMORY + 30 * 2**20
    short.undo()
    assert render(PLAIN, HI) == "hi"


def test_a_prompt_of_the_longest_length_comes_through() -> None:
    long = {"messages": [{"role": "user", "content": "😀" * (MAX_PROMPT - 1)}]}
    assert render(PLAIN + "\n\n", long) == long["messages"][0]["content"] + "\n"
    with pytest.raises(InputError, match="longer than"):
        render(PLAIN + "\n\n\n", long)


def test_what_a_template_says_of_messages_it_refuses_does_not_end_the_process() -> None:
    render(PLAIN, HI)
    before = chat_template.RENDERER.pid
    with pytest.raises(TemplateRefusal, match="roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}", HI)
    render(PLAIN, HI)
    assert chat_template.RENDERER.pid == before


def test_memory_that_a_template_has_filled_is_not_the_next_ones() -> None:
    for _ in range(3):
        with pytest.raises(InputError):
            render("{{ 'x' * (messages | length * 200 * 1000 * 1000) }}", HI)
        assert render("{{ ('x' * (200 * 1000 * 1000)) | length }}", HI) == "200000000"


def test_a_renderer_that_was_killed_is_started_again() -> None:
    render(PLAIN, HI)
    pid = chat_template.RENDERER.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert within(5, lambda: not alive(pid))
    assert render(PLAIN, HI) == "hi"


def test_several_threads_get_each_their_own_prompt() -> None:
    found: dict[int, str] = {}

    def ask(n: int) -> None:
        for _ in range(20):
            found[n] = render(PLAIN, {"messages": [{"content": str(n)}]})

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: str(n) for n in range(4)}


BUSY = """
import os, sys, threading
from llm_holes.engine.tokenizer import chat_template
chat_template.render("", {})
print(chat_template.RENDERER.pid, flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
chat_template.render(sys.argv[1], {})
"""


@pytest.mark.parametrize("template", ["{{ 9 ** (9 ** 9) }}", ENDLESS], ids=["in one operation", "in a loop"])
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "its front end gone"])
def test_a_busy_renderer_goes_with_the_engine(template: str, killed: bool, at_most: AtMost) -> None:
    engine = subprocess.Popen(
        [sys.executable, "-c", BUSY, template], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert engine.stdin is not None
    assert engine.stdout is not None
    renderer = int(engine.stdout.readline())
    time.sleep(0.2)
    assert alive(renderer)
    with at_most(1):
        if killed:
            engine.kill()
        engine.stdin.close()
        engine.wait(timeout=10)
        assert within(10, lambda: not alive(renderer))
    engine.stdout.close()


def test_a_busy_renderer_that_nobody_ends_ends_itself() -> None:
    """As where the kernel does not end it with its parent."""
    program = "from llm_holes.engine.tokenizer import template_process as t; t.SECONDS = -0.5; t.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.communicate(b'{"template": "{{ 9 ** (9 ** 9) }}", "variables": {}}\n', timeout=10)
    assert process.returncode == -signal.SIGALRM
