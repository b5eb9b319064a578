"""The commands and options there are."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from llm_holes.tui.cli import commands, learner_commands


def parser() -> argparse.ArgumentParser:
    """What reads the arguments; what it returns has the command as `run_command`."""
    as_json = argparse.ArgumentParser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="JSON on stdout and nothing else")

    whole = argparse.ArgumentParser(
        prog="llm-holes",
        parents=[_shared()],
        description="Shows what really happens when a message is sent to a language model. Without a command it opens "
        "the tutor in the terminal.",
    )
    whole.add_argument(
        "--version", action="store_const", dest="run_command", const=commands.print_version, help="print the version"
    )
    whole.add_argument("--lesson", metavar="LESSON", help="the lesson to open first")
    whole.set_defaults(run_command=commands.tutor, model=None, engine="local", threads=None, device=None, dtype=None)
    under = whole.add_subparsers(title="commands", metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int], text: str, *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        command = under.add_parser(name, help=text, description=text, parents=list(parents))
        command.set_defaults(run_command=run)
        return command

    add("tour", commands.tour, "Open the tutor with the tour: ten minutes through eight lessons.", _shared())
    add("list", commands.print_list, "Print the tree of lessons.", as_json)
    run = add("run", commands.run_lesson, "Run one lesson's experiment and print what it measured.", _shared(), as_json)
    run.add_argument("lesson_id", metavar="LESSON", help="a lesson's id, as `llm-holes list` prints it")
    run.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting; repeatable")
    run.add_argument("--preset", metavar="PRESET", help="start from one of the lesson's presets")
    run.add_argument("--keep", action="store_true", help="add the run to the lab notebook")
    doctor = add(
        "doctor",
        commands.run_doctor,
        "Check this installation and this terminal, and the engine against itself.",
        _shared(),
        as_json,
    )
    doctor.add_argument("--beside", metavar="MODEL", help="of a server: a model here that has to answer alike")
    learner_commands.add_to(add, _shared, commands.engine_command)
    add("models", commands.print_models, "List the models in the cache.", as_json)
    add("engine", commands.serve, "Serve the model to an llm-holes on the other end of stdin and stdout.", _shared())
    return whole


def _shared() -> argparse.ArgumentParser:
    """The options that may stand before or after the command. New each time: argparse changes parents' defaults."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--model", metavar="NAME|DIR|FILE.gguf", help="the model to look into")
    shared.add_argument("--engine", metavar="local|ssh://HOST|https://HOST/v1", help="where the model runs")
    shared.add_argument(
        "--threads", metavar="N", type=_count, help="processor cores for the model (the free ones but one)"
    )
    shared.add_argument(
        "--device", metavar="cpu|cuda|mps", type=_device, help="what computes (the GPU if there is one)"
    )
    shared.add_argument(
        "--dtype", choices=("fp32", "bf16"), help="the numbers of the model's matrices (bf16 on a GPU, else fp32)"
    )
    return shared


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|mps|cuda(:\d{1,2})?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"cpu, cuda, cuda:N (the GPU of this number) or mps, not {text!r}")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)
