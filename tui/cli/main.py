"""The command line. Imports little at the top: what a command does not need must not delay it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Sequence

from llm_holes.tui.cli.commands import UsageError, local_engine, open_tutor
from llm_holes.tui.cli.gates import gated

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What goes wrong where something is written, whatever it is."""

FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141

NO_TERMINALS = "the tutor needs a Unix terminal, which this system has not; on Windows, install and run it inside WSL"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 1 failed, 2 usage, 130 after ctrl+c."""
    without_output = sys.stdout is None
    _open_closed_streams()
    with gated():
        if without_output:
            return _fail("the standard output is closed, so there is nothing to write to", FAILED)
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a terminal without Unicode gets ? for our drawing characters, not a traceback
        sys.stdout.reconfigure(errors="replace")
    try:
        status = _run(_readable(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except SystemExit:
        # of argparse, which has printed its help or what is wrong
        try:
            sys.stdout.flush()
        except OSError as error:
            return _lost(error)
        raise
    except UsageError as error:
        return _fail(error, USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError as error:
        return _lost(error)
    except ModuleNotFoundError as error:
        if error.name != "termios":
            raise
        return _fail(NO_TERMINALS, USAGE)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return _lost(error)
        return _fail(error, _expected(error))


def _run(arguments: Sequence[str]) -> int:
    if not arguments:
        return open_tutor(local_engine())  # whose first screen does not wait for a parser
    from llm_holes.tui.cli.parser import parser

    args = parser().parse_args(arguments)
    status: int = args.run_command(args)
    return status


def _open_closed_streams() -> None:
    """Puts nothing where a standard stream is closed: what is opened next would get its number, and what is printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _readable(arguments: Sequence[str]) -> Sequence[str]:
    """The arguments. Raises UsageError if one has bytes that are no text."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"an argument is not UTF-8: {argument!r}") from None
    return arguments


def _lost(error: OSError) -> int:
    """Ends a command whose output is lost. A reader that is gone had enough; a full disk is told."""
    # Python must not complain when it flushes at exit
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    return _fail(f"the output cannot be written: {error.strerror}", FAILED)


def _expected(error: Exception) -> int:
    """The exit status for an error that is told in one sentence. Raises the error if it is none of these."""
    from llm_holes.lessons.catalog.catalog import CatalogError
    from llm_holes.tui.cli.run import Unsuccessful

    match error:
        case Unsuccessful():
            return USAGE if error.usage else FAILED
        case CatalogError():
            return FAILED
    raise error


def _fail(error: Exception | str, status: int) -> int:
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # where there is no place for errors either, the status tells
        print(f"llm-holes: {error}", file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
