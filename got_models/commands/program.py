"""What all command lines of this project share: exit codes, and one line per user error.

Exit codes: 0 done, 2 invalid input or a disk that cannot be written to (one line on stderr, nothing
half-written), 130 stopped with Ctrl-C, 141 when the reader of the output has gone.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from ..errors import GoTError


def run_program(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit code; argparse itself exits (2) on malformed arguments.

    Args:
        parser: its subcommands each set `run`.
        arguments: by default those of the command line.
    """
    atexit.register(
        gc.freeze
    )  # when Python ends, it would look through all libraries for garbage, for a second
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that lacks a character must not end the run
    warnings.filterwarnings("ignore", module=r"PIL\.")  # we report relevant problems of pictures ourselves
    options = parser.parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()  # here, where a full disk can still be reported
    except GoTError as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout, such as `head`, has gone
        _discard(sys.stdout)
        return 141
    except OSError as error:
        return _failed(f"{error.filename or 'The output'}: {error.strerror or error}.")
    return 0


def _failed(message: str) -> int:
    """Print an error in one line; returns the exit code."""
    try:
        print("error:", " ".join(message.splitlines()), file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)
    return 2


def _discard(stream: TextIO) -> None:
    """Redirect a stream that cannot be written to: otherwise it would be flushed again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
