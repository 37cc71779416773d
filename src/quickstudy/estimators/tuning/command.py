"""A command as a trial: settings go in as words, a score comes out on its last line."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import string
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UserError
from ...tasks.scores.space import Space

ALL = "settings"  # {settings} stands for all of them, as JSON


class CommandFailed(Exception):
    """A trial without a score; the message says why."""


def check_command(words: Sequence[str], space: Space) -> None:
    """See that a command takes settings, and none that there are not.

    Raises:
        UserError: no {setting} in it, or one that is not of the space or not always there.
    """
    fields = {field for word in words for _, field, _, _ in string.Formatter().parse(word) if field is not None}
    known = ", ".join(f"{{{name}}}" for name in space.settings)
    if not fields:
        raise UserError(
            f"The command takes no setting; write {known}, or {{{ALL}}} for all as JSON, where they belong."
        )
    for field in sorted(fields - {ALL}):
        if field not in space.settings:
            raise UserError(f"The command asks for {{{field}}}, but there are {known}, and {{{ALL}}} for all as JSON.")
        if space.settings[field].when is not None:
            raise UserError(
                f"The setting '{field}' is not in every configuration; take {{{ALL}}}, all of them as JSON."
            )


def score_of(words: Sequence[str], configuration: Mapping[str, Any], *, seconds: float | None) -> float:
    """The number that a command prints last.

    Args:
        words: of the command, with {setting} where its value belongs.
        configuration: the values.
        seconds: after which it is ended, and all that it has started; None for never.

    Raises:
        CommandFailed: it exits with something else than 0, takes too long, or prints no number.

    >>> score_of(["python3", "-c", "print({lr} * 2)"], {"lr": 0.5}, seconds=60)
    1.0
    """
    values = {ALL: json.dumps(dict(configuration)), **configuration}
    line = [word.format_map(values) for word in words]
    try:
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=os.name != "nt"
        )
    except OSError as error:
        raise UserError(f"'{line[0]}' cannot be started: {error.strerror or error}.") from error
    try:
        out, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"not ready after {seconds:g} s") from error
    finally:
        _end(process)
    if process.returncode:
        last = (complaint.strip().splitlines() or ["no word of why"])[-1]
        raise CommandFailed(f"exit code {process.returncode}: {last[:200]}")
    try:
        score = float((out.split() or [""])[-1])
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise CommandFailed(f"its last word is no number: '{(out.split() or [''])[-1][:40]}'")
    return score


def _end(process: subprocess.Popen[str]) -> None:
    """End it and what it has started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL) if os.name != "nt" else process.kill()
        process.communicate()
