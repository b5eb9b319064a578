"""Chat templates: rendered as transformers renders them, met halfway where they refuse, bounded if they are hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_holes.engine.checkpoint.validate import check
from llm_holes.engine.errors import InputError, ModelError
from llm_holes.engine.tokenizer.tokenizer import Tokenizer
from llm_holes.engine.tokenizer.turns import IN_TURNS, NO_SYSTEM, NO_TEMPLATE
from tests.support import tiny_gguf

CHATML = """\
{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
TRAINED = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- generation %}{% set who = 'A: ' %}{{ who + m.content }}<|im_end|>{%- endgeneration %}
    {%- else %}
        {{- who | default('Q: ') + m.content + '\\n' }}
    {%- endif %}
{%- endfor %}"""
LLAMA = """\
{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = strftime_now('%Y') %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system = '' %}{%- endif %}
{{- '<|head|>system<|/head|>\\n\\nToday: ' + date_string + '\\n\\n' + system + '<|eot|>' }}
{%- for message in messages %}
    {{- '<|head|>' + message['role'] + '<|/head|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|head|>assistant<|/head|>\\n\\n' }}{%- endif %}"""
MISTRAL = """\
{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}
{%- set loop_messages = messages[1:] %}
{%- else %}{%- set loop_messages = messages %}{%- endif %}
{{- bos_token }}
{%- for m in loop_messages %}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('After the optional system message, roles must alternate user/assistant') }}
    {%- endif %}
    {%- if m['role'] == 'user' %}
        {%- if loop.first and system is defined %}{{- ' [INST] ' + system + '\\n\\n' + m['content'] + ' [/INST]' }}
        {%- else %}{{- ' [INST] ' + m['content'] + ' [/INST]' }}{%- endif %}
    {%- elif m['role'] == 'assistant' %}{{- ' ' + m['content'] + eos_token }}
    {%- else %}{{- raise_exception('Only user and assistant roles are supported') }}{%- endif %}
{%- endfor %}"""
GEMMA = """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{% endif %}
{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
{{ '<turn>' + role + '\\n' + message['content'] | trim + '<end>\\n' }}
{% endfor %}
{% if add_generation_prompt %}{{'<turn>model\\n'}}{% endif %}"""
QWEN = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n<tools>" }}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}
{%- set ns = namespace(last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if message.role == "user" and message.content is string %}{%- set ns.last = index %}{%- break %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' + ('' if loop.index0 < ns.last else '<think>\\n\\n</think>') + message.content }}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}"""
TEMPLATES = {
    "ChatML": CHATML, "generation": TRAINED, "Llama 3": LLAMA, "Mistral": MISTRAL, "Gemma": GEMMA, "Qwen": QWEN,
}  # fmt: skip
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "What is <2+2> & 'why'?\n "}
TALKS = {
    "user": [USER],
    "system, user": [SYSTEM, USER],
    "several turns": [SYSTEM, USER, {"role": "assistant", "content": " 4"}, {"role": "user", "content": "why? 😀"}],
}
TOOLS = [{"name": "é", "parameters": {"type": "object", "properties": {"<x>": {"type": "string"}}}}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf.write_folder(tmp_path_factory.mktemp("tiny") / "m")


def tokenizer(folder: Path, template: Any) -> Tokenizer:
    given = {} if template is None else {"chat_template": template}
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**names, **given}))
    return Tokenizer.load(folder)


def reference(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompts_are_those_of_transformers(name: str, folder: Path) -> None:
    ours = tokenizer(folder, TEMPLATES[name])
    theirs = reference(folder)
    for talk, messages in TALKS.items():
        if name == "Gemma" and messages[0] is SYSTEM:
            continue
        for answer in (True, False):
            for tools in (None, TOOLS):
                expected = theirs.apply_chat_template(
                    messages, tools=tools, tokenize=False, add_generation_prompt=answer
                )
                assert ours.chat(messages, answer, tools) == expected, (talk, answer, tools)
        ids = theirs.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        assert ours.chat_ids(messages) == ids, talk


def test_the_mark_of_what_is_trained_changes_nothing(folder: Path) -> None:
    without = CHATML.replace("+ m['content'] +", "}}{{ m['content'] }}{{")
    within = CHATML.replace("+ m['content'] +", "}}{% generation %}{{ m['content'] }}{% endgeneration %}{{")
    for messages in TALKS.values():
        assert tokenizer(folder, within).chat(messages) == tokenizer(folder, without).chat(messages)


@pytest.mark.parametrize("name", ["Gemma", "Mistral"])
def test_what_a_template_refuses_is_put_where_it_is_taken_and_said(name: str, folder: Path) -> None:
    notes: list[str] = []
    ours = tokenizer(folder, TEMPLATES[name]).telling(notes.append)
    talk = [SYSTEM, USER, {"role": "assistant", "content": "4"}, {"role": "user", "content": "a"}, USER]
    text = ours.chat(talk)
    assert text.index("Be brief.\n\nWhat is") < text.index("4") < text.index("a\n\nWhat is")
    assert notes == ([NO_SYSTEM, IN_TURNS] if name == "Gemma" else [IN_TURNS])
    assert text == ours.chat([{**USER, "content": f"Be brief.\n\n{USER['content']}"}, talk[2], ours_last(talk)])


def ours_last(talk: list[dict[str, str]]) -> dict[str, str]:
    return {"role": "user", "content": f"{talk[-2]['content']}\n\n{talk[-1]['content']}"}


def test_a_system_message_alone_becomes_the_users(folder: Path) -> None:
    assert "<turn>user\nBe brief.<end>" in tokenizer(folder, GEMMA).chat([SYSTEM])


def test_a_message_that_a_template_leaves_out_is_folded_in_where_all_must_be_there(folder: Path) -> None:
    deaf = "{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
    notes: list[str] = []
    ours = tokenizer(folder, deaf).telling(notes.append)
    assert ours.chat([SYSTEM, USER]) == reference(folder).apply_chat_template([SYSTEM, USER], tokenize=False)
    assert not notes
    assert "Be brief." in ours.chat([SYSTEM, USER], complete=True)
    assert notes == [NO_SYSTEM]


def test_a_template_that_takes_nothing_says_its_own_reason(folder: Path) -> None:
    with pytest.raises(ModelError, match="Only in French") as caught:
        tokenizer(folder, "{{ raise_exception('Only in French') }}").chat([SYSTEM, USER])
    assert "transformers" in caught.value.hint


def test_without_a_template_the_text_is_plain_and_that_is_said(folder: Path) -> None:
    notes: list[str] = []
    ours = tokenizer(folder, None).telling(notes.append)
    assert not ours.has_chat
    assert ours.chat_ids([USER]) == ours.encode(USER["content"])
    assert ours.chat([SYSTEM, USER]) == f"Be brief.\n\n{USER['content']}\n\n"
    assert set(notes) == {NO_TEMPLATE}
    assert not set(ours.chat_ids([{"role": "user", "content": "<|im_end|>"}])) & ours.special_ids
    with pytest.raises(InputError, match="needs a chat"):
        ours.needs_chat()


NAMED = [{"name": "default", "template": "plain {{ messages[0].content }}"}, {"name": "tool_use", "template": "tools"}]


def test_templates_are_found_where_transformers_finds_them(tmp_path: Path) -> None:
    folder = tiny_gguf.write_folder(tmp_path / "m")

    def both(tools: Any = None) -> str:
        ours = Tokenizer.load(folder).chat([USER], tools=tools)
        assert ours == reference(folder).apply_chat_template([USER], tools=tools, tokenize=False)
        check(folder)
        return ours

    tokenizer(folder, NAMED)
    assert both().startswith("plain What")
    assert both(TOOLS) == "tools"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "older"}))
    assert both() != "older"
    (folder / "chat_template.jinja").write_text("in a file")
    assert both(TOOLS) == "in a file"
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("tools in a file")
    assert both(TOOLS) == "tools in a file"
    assert both() == "in a file"


def test_the_older_file_is_read_where_no_other_has_a_template(tmp_path: Path) -> None:
    folder = tiny_gguf.write_folder(tmp_path / "m")
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "older {{ messages[0].role }}"}))
    assert tokenizer(folder, None).chat([USER]) == "older user"


def test_a_template_of_64_kib_is_rendered(folder: Path) -> None:
    long = "{# " + "x" * (60 * 2**10) + " #}" + CHATML
    assert tokenizer(folder, long).chat([USER]) == tokenizer(folder, CHATML).chat([USER])
