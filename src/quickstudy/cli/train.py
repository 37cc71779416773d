"""`quickstudy train RECIPE`: meta-train, checkpoint, resume, judge, leave a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from ..bundle import save_bundle
from ..engine.device import device_of
from ..engine.memory import keep_freed_memory
from ..engine.processes import Processes, joined_from_environment
from ..evaluation.evaluate import evaluate
from ..evaluation.result import Result
from ..learner import Learner
from ..learners.standardised import Standardised
from ..loops.checkpoint import Checkpoint
from ..loops.meta_train import meta_train
from ..loops.profile import Profile
from ..loops.record import kept
from ..recipe import Recipe
from ..rng import Rng
from ..tasks.source import TaskSource
from .launch import launched
from .output import Bar, as_json, console, emit, stops_gently


@click.command("train")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for checkpoints and the bundle [runs/NAME].")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out, bit for bit.")
@click.option("--steps", type=click.IntRange(min=1), help="Outer steps, in place of the recipe's.")
@click.option("--time", "seconds", type=click.FloatRange(min=1), help="Stop after so many seconds.")
@click.option("--seed", type=int, help="Seed, in place of the recipe's.")
@click.option("--tests", type=click.IntRange(min=0), help="Test tasks to judge on at the end; 0 for none.")
@click.option("--memory", help="Keep within it, such as 2GiB; says what would fit when it cannot.")
@click.option("--device", help="cpu, cuda, cuda:1, mps or auto, in place of the recipe's.")
@click.option("--precision", help="float32 or bfloat16, in place of the recipe's.")
@click.option("--processes", type=int, help="Share the tasks of a step out to so many processes [1].")
@click.option("--verbose", is_flag=True, help="Say how tasks are run, and why.")
@click.option("--profile", "profiled", is_flag=True, help="Say where time and memory went.")
@as_json
@click.pass_context
def train_command(
    context: click.Context,
    recipe: Path,
    out: Path | None,
    resume: bool,
    steps: int | None,
    seconds: float | None,
    seed: int | None,
    tests: int | None,
    memory: str | None,
    device: str | None,
    precision: str | None,
    processes: int | None,
    verbose: bool,
    profiled: bool,
    as_json: bool,
) -> None:
    """Meta-train the learner of a RECIPE (a TOML file) and leave a bundle.

    With --processes, or started by torchrun, several processes train one learner; the result is that of one.

    \b
    quickstudy train recipes/glyphs-prototypical.toml
    quickstudy train recipes/sine-maml.toml --steps 2000 --out runs/sine
    quickstudy train recipes/sine-maml.toml --out runs/sine --resume
    quickstudy train recipes/omniglot-maml.toml --processes 4
    """
    asked = {"steps": steps, "seconds": seconds, "memory": memory, "device": device, "precision": precision}
    plan = _changed(Recipe.read(recipe), seed, asked)
    if processes is not None:
        context.exit(launched(["train", *_written(context)], processes))
    folder, profile = out or Path("runs") / recipe.stem, Profile() if profiled else None
    with joined_from_environment() as here:
        quiet = as_json or here.rank > 0
        learner, source = _trained(
            plan, recipe, folder, here, resume=resume, profile=profile, verbose=verbose, quiet=quiet
        )
        if here.rank:
            return
        if profile is not None:
            console(as_json).print(str(profile))
        _judge(plan, folder, learner, source, tests, as_json)


def _trained(
    plan: Recipe,
    recipe: Path,
    folder: Path,
    here: Processes,
    *,
    resume: bool,
    profile: Profile | None,
    verbose: bool,
    quiet: bool,
) -> tuple[Learner, TaskSource]:
    """The learner after the whole run, in this process alone or with others, and what its tasks came from."""
    keep_freed_memory()
    device = device_of(plan.train.device)
    learner, source = plan.make_learner().to(device), plan.make_source()
    if isinstance(learner, Standardised):
        learner.fit_scale(source)
    judged = plan.validation.of(source, "validation")

    def validate(learner: Learner) -> Result:
        return evaluate(learner, judged, tasks=plan.validation.tasks)

    records = meta_train(
        learner,
        source,
        steps=plan.train.steps,
        tasks=plan.train.tasks,
        optimizer=plan.train.optimizers(),
        schedule=plan.train.schedules(),
        rng=Rng(plan.seed),
        validate=validate,
        every=plan.validation.every,
        checkpoint=Checkpoint(folder, plan.train.checkpoint_every),
        resume=resume,
        seconds=plan.train.seconds,
        memory=plan.train.memory,
        precision=plan.train.precision,
        profile=profile,
    )
    if here.rank == 0:
        records = kept(records, folder / "curve.jsonl")
    with stops_gently(quiet=here.rank > 0) as asked, Bar(console(quiet), plan.train.steps, recipe.stem) as bar:
        for record in records:
            bar.update(record.step, f"loss {record.loss:.4g}, {record.rate:,.0f} tasks/s")
            if verbose and learner.plan is not None:
                bar.say(f"Tasks are run {learner.plan}.")
                verbose = False
            if record.validation is not None:
                bar.say(f"step {record.step}: validation {record.validation}{' (best so far)' if record.best else ''}")
            if here.any(bool(asked)):
                records.close()
                bar.say(f"Saved at step {record.step}. Go on with: quickstudy train {recipe} --out {folder} --resume")
                raise KeyboardInterrupt
    return learner, source


def _judge(plan: Recipe, folder: Path, learner: Learner, source: TaskSource, tests: int | None, as_json: bool) -> None:
    """Judge on test tasks, and leave a bundle."""
    count = plan.test.tasks if tests is None else tests
    result = evaluate(learner, plan.test.of(source, "test"), tasks=count) if count else None
    plain = result.to_json() if result else None
    save_bundle(folder / "bundle", learner, source=source, recipe=plan.table(), results=plain)
    text = f"test: {result}\nbundle: {folder / 'bundle'}" if result else f"bundle: {folder / 'bundle'}"
    emit({"bundle": str(folder / "bundle"), "result": plain}, text, as_json)


def _written(context: click.Context) -> list[str]:
    """The command line again, without --processes."""
    written: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if parameter.name == "processes" or value is None or value is False:
            continue
        written += [] if isinstance(parameter, click.Argument) else [parameter.opts[-1]]
        written += [] if value is True else [str(value)]
    return written


def _changed(recipe: Recipe, seed: int | None, train: dict[str, int | float | str | None]) -> Recipe:
    """The recipe with what the command line says in its place."""
    table = recipe.table()
    table["train"] = {**table["train"], **{key: value for key, value in train.items() if value is not None}}
    if seed is not None:
        table["seed"] = seed
    return Recipe.of(table)
