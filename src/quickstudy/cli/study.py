"""`quickstudy study`: the main job."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ..engine.memory import keep_freed_memory
from ..errors import UserError
from ..registry import build_source, find
from ..report.write import write_report
from ..study import Study
from ..tasks.episodes import Episodes
from .output import Bar, as_json, console, emit, stops_gently


@click.command("study")
@click.option(
    "--source", default="glyphs", show_default=True, help="Where tasks come from; see `quickstudy list sources`."
)
@click.option("--ways", type=click.IntRange(min=2), default=5, show_default=True, help="Classes a task.")
@click.option("--shots", type=click.IntRange(min=1), default=1, show_default=True, help="Examples of each class.")
@click.option("--queries", type=click.IntRange(min=1), default=10, show_default=True, help="Questions a class.")
@click.option(
    "--time", "seconds", type=click.FloatRange(min=10), default=150.0, show_default=True, help="Seconds for it all."
)
@click.option(
    "--tests", type=click.IntRange(min=2), default=200, show_default=True, help="Tasks to judge on, kept aside."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("study"), show_default=True)
@as_json
def study_command(
    source: str, ways: int, shots: int, queries: int, seconds: float, tests: int, seed: int, out: Path, as_json: bool
) -> None:
    """Meta-train, choose on validation tasks, judge once on tasks kept aside, audit, and leave a folder.

    Without arguments it studies the embedded glyphs: characters of many scripts, of which some scripts are kept aside.

    \b
    quickstudy study
    quickstudy study --source omniglot --ways 20 --time 600 --out omniglot-study
    """
    began = time.perf_counter()
    keep_freed_memory()
    where = console(as_json)
    if isinstance(find("source", source).load(), type):
        raise UserError(f"'{source}' is not a set of labelled examples; a study takes glyphs or omniglot.")
    with where.status("Making the tasks ..."):
        tasks: Episodes = build_source({"name": source, "ways": ways, "shots": shots, "queries": queries, "seed": seed})
    study = Study(tasks, out=out, seconds=seconds, tests=tests, seed=seed, spent=time.perf_counter() - began)
    with stops_gently() as asked, Bar(where, 1.0, "study") as bar:
        for event in study.run():
            bar.update(min(event.done, 1.0), event.text, event.phase)
            if event.phase.startswith(("validated", "dropped")):
                bar.say(f"{event.phase.split(' ', 1)[1]}: {event.text}")
            if asked:
                raise KeyboardInterrupt
    assert study.findings is not None
    written = write_report(out, study.findings, tasks)
    _show(study.findings.as_table(), written, study.spent, as_json)


def _show(plain: dict[str, Any], written: dict[str, str], seconds: float, wants_json: bool) -> None:
    lines = [
        "",
        plain["sentence"],
        plain["audit"]["sentence"],
        "",
        f"report:  {written['report']}   (open it in a browser)",
        f"bundle:  {written['bundle']}",
        f"results: {written['results']}",
        "",
        "Go on with:",
        *(f"  {command}" for command in written["commands"].splitlines()),
        f"\n({seconds:.0f} s)",
    ]
    emit({**plain, "files": written, "total_seconds": seconds}, "\n".join(lines), wants_json)
