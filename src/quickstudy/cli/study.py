"""`quickstudy study`: the main job."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..engine.memory import keep_freed_memory
from ..errors import UserError
from ..registry import build_source, find
from ..report.write import write_report
from ..study import Study
from ..study.entries import Tasks
from ..study.explaining import Explainer
from ..study.own import Own, own_tasks
from ..tasks.cells.names import columns_in
from ..tasks.checked.splits import split_rows
from ..tasks.own.reading import read_rows
from .output import Bar, as_json, console, emit

COLUMNS = ("task", "label", "text", "image", "smiles", "id_", "when", "values", "group")
OF_PATH = (*COLUMNS, "kind", "encoder")


@click.command("study")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--source", help="Named tasks instead of PATH: glyphs when neither is given, or see `list sources`.")
@click.option(
    "--task",
    multiple=True,
    metavar="COLUMN",
    callback=lambda context, option, named: None if not named else named[0] if len(named) == 1 else named,
    help="Column of PATH that says which task a row belongs to, or several; else tasks are drawn from classes.",
)
@click.option("--label", help="Column to predict.")
@click.option("--text", help="Column of texts to predict from.")
@click.option("--image", help="Column of image files to predict from.")
@click.option("--smiles", help="Column of molecules to predict from.")
@click.option("--id", "id_", metavar="COLUMN", help="Of a table of series: the column that says which series it is.")
@click.option("--when", metavar="COLUMN", help="Of a table of series: the column of times.")
@click.option("--values", metavar="COLUMNS", help="Of a table of series: the measured columns, with commas.")
@click.option("--group", help="Column whose rows never stand on two sides of the split: a patient, a source.")
@click.option("--kind", type=click.Choice(["classification", "regression"]), help="What the label is, if not as found.")
@click.option("--encoder", help="What makes numbers of the inputs; see `quickstudy list encoders`.")
@click.option("--check", is_flag=True, help="Show what was understood of PATH, and stop there.")
@click.option("--ways", type=click.IntRange(min=2), default=5, show_default=True, help="Classes of a drawn task.")
@click.option("--shots", type=click.IntRange(min=1), help="Examples of each class (1), or of each task of PATH (5).")
@click.option("--queries", type=click.IntRange(min=1), help="Questions a class (10), or as many as there are rows for.")
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
    path: Path | None,
    source: str | None,
    check: bool,
    seconds: float,
    tests: int,
    seed: int,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Meta-train, choose on validation tasks, judge once on tasks kept aside, audit, and leave a folder.

    Of PATH, a folder of images (CLASS/IMAGE or TASK/CLASS/IMAGE) or a CSV or Parquet file, or of named tasks. Without
    either it studies the embedded glyphs: characters of many scripts, of which some scripts are kept aside.

    \b
    quickstudy study
    quickstudy study photos/ --shots 5
    quickstudy study reviews.csv --task shop --label stars --text review --check
    quickstudy study sales.csv --task branch --task year --label sold
    quickstudy study --source omniglot --ways 20 --time 600 --out omniglot-study
    """
    began = time.perf_counter()
    keep_freed_memory()
    where = console(as_json)
    if path is None:
        own, tasks = None, _named(source, check, options, seed, where)
    else:
        own = _own(path, source, check, options, seed, where, as_json)
        if own is None:
            return
        tasks = own.source
    study = Study(tasks, out=out, seconds=seconds, tests=tests, seed=seed, spent=time.perf_counter() - began, own=own)
    with Bar(where, 1.0, "study") as bar:
        for event in study.run():
            bar.update(min(event.done, 1.0), event.text, event.phase)
            if event.phase.startswith(("validated", "dropped")):
                bar.say(f"{event.phase.split(' ', 1)[1]}: {event.text}")
    assert study.findings is not None
    explain = Explainer(study.findings.chosen.learner, own)
    written = write_report(out, study.findings, tasks, own, explain=explain)
    _show(study.findings.as_table(), written, study.spent, as_json)


def _named(source: str | None, check: bool, options: dict[str, Any], seed: int, where: Console) -> Tasks:
    """Tasks by name; options that only make sense for a path are refused."""
    odd = [name for name in OF_PATH if options[name] is not None] + ["check"] * check
    if odd:
        raise UserError(f"--{odd[0].rstrip('_')} says something about data of your own; name its folder or file first.")
    name = source or "glyphs"
    if isinstance(find("source", name).load(), type):
        raise UserError(f"'{name}' is not a set of labelled examples; a study takes glyphs or omniglot, or a path.")
    shape = {"ways": options["ways"], "shots": options["shots"] or 1, "queries": options["queries"] or 10}
    with where.status("Making the tasks ..."):
        tasks: Tasks = build_source({"name": name, **shape, "seed": seed})
    return tasks


def _own(
    path: Path, source: str | None, check: bool, options: dict[str, Any], seed: int, where: Console, wants_json: bool
) -> Own | None:
    """A user's data as tasks; None where it was only to be checked. Either way what was understood is shown."""
    if source is not None:
        raise UserError(f"--source {source} and {path} are two places to take tasks from; give one.")
    columns = {name: options[name] for name in ("task", "label", "text", "image", "smiles", "group", "kind")}
    values = columns_in(options["values"], commas=True) or None
    with where.status("Reading ..."):
        rows = read_rows(path, **columns, id=options["id_"], time=options["when"], values=values)
    shots = options["shots"] or (1 if rows.tasks is None else 5)
    if check:
        split = split_rows(rows, seed=seed)
        plain = {"account": rows.account().splitlines(), "unit": split.unit, "sides": split.sides, "notes": split.notes}
        emit(plain, f"{rows.account()}\n{split}", wants_json)
        return None
    with where.status("Encoding ...") as status:
        own = own_tasks(
            rows,
            encoder=options["encoder"],
            ways=options["ways"],
            shots=shots,
            queries=options["queries"],
            seed=seed,
            columns={name: options[name] for name in COLUMNS if options[name] is not None},
            progress=lambda what, done, of: status.update(f"{what}: {done:,} of {of:,}"),
        )
    where.print(own.account(), highlight=False, markup=False, soft_wrap=True)
    return own


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
