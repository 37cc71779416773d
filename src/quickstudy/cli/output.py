"""What a command shows: rich for people, JSON for programs, plain lines where there is no terminal."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")


def emit(plain: Mapping[str, Any] | Sequence[Any], text: str, wants_json: bool) -> None:
    """A result, as JSON or as text."""
    click.echo(json.dumps(plain, indent=2, default=str) if wants_json else text)


def console(quiet: bool = False) -> Console:
    """Where progress goes: standard error, so that results can be piped."""
    return Console(stderr=True, quiet=quiet, highlight=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        made.add_row(*row)
    Console(highlight=False).print(made)


class Bar:
    """A progress bar where there is a terminal, a line now and then where there is none."""

    def __init__(self, where: Console, total: float, title: str):
        self.console, self.title, self.said = where, title, -1.0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
        )
        self.progress = Progress(*columns, console=where, disable=not where.is_terminal or where.quiet)
        self.total = total
        self.row: TaskID = self.progress.add_task(title, total=total, text="")

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, done: float, text: str, title: str | None = None) -> None:
        """Move to `done` of `total`."""
        self.progress.update(self.row, completed=done, text=text, description=title or self.title)
        if self.progress.disable and not self.console.quiet and done >= self.said + self.total / 20:
            self.said = done
            self.console.print(f"{title or self.title}: {100 * done / self.total:.0f}% {text}")

    def say(self, text: str) -> None:
        """A line that stays."""
        self.console.print(text)


@contextlib.contextmanager
def stops_gently(*, quiet: bool = False) -> Iterator[list[bool]]:
    """The first Ctrl-C or SIGTERM asks to stop after the step at hand; a second one stops at once."""
    asked: list[bool] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(True)
        if not quiet:
            click.echo("Stopping after this step (Ctrl-C again to stop at once) ...", err=True)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
