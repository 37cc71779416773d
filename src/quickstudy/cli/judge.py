"""`quickstudy evaluate`, `compare` and `audit`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ..bundle import Bundle, load_bundle
from ..errors import BadFile, UserError
from ..evaluation.audit import audit
from ..evaluation.compare import compare
from ..evaluation.evaluate import evaluate
from ..evaluation.result import Result
from ..registry import build_source
from ..storage import write_atomically
from ..tasks.source import TaskSource
from .output import as_json, emit

bundle_argument = click.argument("bundle", type=click.Path(path_type=Path))


def task_options(command: Any) -> Any:
    """The options that say which tasks to judge on; the bundle's own where they are left out."""
    for option in (
        click.option("--split", type=click.Choice(["train", "validation", "test"]), default="test", show_default=True),
        click.option("--seed", type=int, help="Seed of the episodes."),
        click.option("--queries", type=click.IntRange(min=1), help="Queries a class."),
        click.option("--shots", type=click.IntRange(min=1), help="Examples of each class."),
        click.option("--ways", type=click.IntRange(min=2), help="Classes a task."),
        click.option("--source", help="Where tasks come from; see `quickstudy list sources`."),
    ):
        command = option(command)
    return command


@click.command("evaluate")
@bundle_argument
@click.option("--tasks", type=click.IntRange(min=2), default=1_000, show_default=True, help="How many.")
@click.option("--by-shots", help="Also judge with these numbers of examples: 1,2,5.")
@click.option("--by-steps", help="Also judge after these numbers of adaptation steps: 0,1,5,10.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the result to a file that `compare` reads.")
@task_options
@as_json
def evaluate_command(
    bundle: Path,
    tasks: int,
    by_shots: str | None,
    by_steps: str | None,
    save: Path | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Judge a BUNDLE on tasks it never saw: mean, 95% interval and protocol.

    \b
    quickstudy evaluate study/bundle --tasks 1000
    quickstudy evaluate study/bundle --ways 20 --by-shots 1,2,5 --save twenty.json
    """
    loaded = load_bundle(bundle)
    source = source_of(loaded, bundle, chosen)
    result = evaluate(loaded.learner, source, tasks=tasks, shots=_numbers(by_shots), steps=_numbers(by_steps))
    if save is not None:
        write_atomically(save, json.dumps(result.to_json(), indent=1).encode())
    lines = [str(result)]
    for what, curve in (("shots", result.by_shots), ("steps", result.by_steps)):
        lines += [f"  {k} {what}: {value:.4g} ± {ci95:.2g}" for k, (value, ci95) in curve.items()]
    if result.ece is not None:
        lines.append(
            f"calibration: off by {result.ece:.1f} points on average; negative log-likelihood {result.nll:.3f} nats"
        )
    emit(result.to_json(), "\n".join(lines), as_json)


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@as_json
def compare_command(first: Path, second: Path, as_json: bool) -> None:
    """Compare two results (files of `evaluate --save`, or bundles) on the tasks that both met.

    \b
    quickstudy evaluate a/bundle --save a.json
    quickstudy evaluate b/bundle --save b.json
    quickstudy compare a.json b.json
    """
    one, other = read_result(first), read_result(second)
    found = compare(one, other, names=(str(first), str(second)))
    emit({**vars(found)}, found.sentence, as_json)


@click.command("audit")
@bundle_argument
@click.option("--tasks", type=click.IntRange(min=4), default=40, show_default=True, help="Tasks to probe with.")
@task_options
@as_json
def audit_command(bundle: Path, tasks: int, as_json: bool, **chosen: Any) -> None:
    """Look for leaks: do queries help each other, do splits overlap, is it at chance before it learns?

    Exits with 1 when a leak is found.

    \b
    quickstudy audit study/bundle
    """
    loaded = load_bundle(bundle)
    verdict = audit(loaded.learner, source_of(loaded, bundle, chosen), tasks=tasks)
    marks = {True: "ok  ", False: "LEAK", None: "-   "}
    lines = [f"{marks[f.passed]} {f.name}: {f.sentence}" for f in verdict.findings]
    emit(verdict.to_json(), "\n".join([*lines, "", verdict.sentence]), as_json)
    if not verdict.passed:
        raise click.exceptions.Exit(1)


def source_of(bundle: Bundle, path: Path, chosen: Mapping[str, Any]) -> TaskSource:
    """The bundle's own tasks, with what the command line says in their place."""
    options = {key: value for key, value in chosen.items() if value is not None and key not in ("source", "split")}
    recipe = bundle.recipe or {}
    own = dict(recipe.get("source", {}))
    test = {k: v for k, v in recipe.get("test", {}).items() if k not in ("tasks", "every")}
    if chosen.get("source") and chosen["source"] != own.get("name"):
        own, test = {"name": chosen["source"]}, {}
    if not own:
        raise UserError(f"The bundle {path} does not say which tasks it is for; name them with --source.")
    return build_source({"seed": recipe.get("seed", 0), **own, **test, **options}).of(str(chosen["split"]))


def read_result(path: Path) -> Result:
    """A result from a JSON file, or the one a bundle was saved with."""
    file = path / "result.json" if path.is_dir() else path
    if not file.is_file():
        raise BadFile(f"There is no result at {file}; make one with `quickstudy evaluate BUNDLE --save {path}`.")
    try:
        return Result.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{file} is not JSON: {error}.") from error


def _numbers(text: str | None) -> tuple[int, ...]:
    if not text:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"'{text}' should be whole numbers with commas between, such as 1,2,5.") from None
