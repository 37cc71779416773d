"""`quickstudy tune`: settings of a command, found by trials that begin with what was good before."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from ..errors import BadFile, TrainingStopped
from ..estimators.advisor import LEARNER
from ..estimators.tuning.command import CommandFailed, check_command, score_of
from ..tasks.scores.candidates import name_of
from ..tasks.scores.space import Space
from ..tasks.scores.table import ScoreTable
from .output import Bar, as_json, console, emit
from .select import names_scores, read_past


@click.command("tune", context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--past", "tables", multiple=True, type=click.Path(path_type=Path), help="A table of past trials.")
@click.option(
    "--space", "path", type=click.Path(path_type=Path), help="TOML file of the settings, if not as in --past."
)
@click.option("--study", default="tune", show_default=True, help="What is tuned; each name is a data set of its own.")
@click.option(
    "--storage", default="sqlite:///tune.db", show_default=True, help="Where trials are kept: Optuna's address."
)
@click.option("--trials", type=click.IntRange(min=1), default=20, show_default=True, help="How many, earlier ones too.")
@click.option("--time", "seconds", type=click.FloatRange(min=1), help="Seconds after which no trial begins.")
@click.option("--each", type=click.FloatRange(min=0.1), help="Seconds after which a trial is ended, and has failed.")
@click.option("--learner", default=LEARNER, show_default=True, help="Of selection; see `quickstudy list learners`.")
@click.option("--seed", type=int, default=0, show_default=True)
@names_scores
@as_json
def tune_command(
    command: tuple[str, ...],
    tables: tuple[Path, ...],
    path: Path | None,
    study: str,
    storage: str,
    trials: int,
    seconds: float | None,
    each: float | None,
    learner: str,
    seed: int,
    as_json: bool,
    **columns: Any,
) -> None:
    """Tune the settings of COMMAND: {setting} stands for a value, and the last word that it prints is its score.

    What was good on past data sets is tried first: they come from tables (--past, as for `select`), and from the other
    studies of the same storage. Trials are kept there, so that a tuning that was stopped goes on, and several machines
    may share one (postgresql://...). A trial that fails or hangs is recorded and passed over.

    \b
    quickstudy tune --past runs.csv -- python train.py --lr {lr} --depth {depth}
    quickstudy tune --space space.toml --study shoes --minimise -- ./simulate {settings}
    """
    from ..estimators.tuning.study import Tuning

    past = read_past(tables, **columns) if tables else None
    tuning = Tuning(
        study, storage, past=past, space=_space(path, past), minimise=columns["minimise"], learner=learner, seed=seed
    )
    check_command(command, tuning.space)
    where = console(as_json)
    where.print(tuning.about, highlight=False, markup=False, soft_wrap=True)
    with Bar(where, float(trials), study) as bar:
        done = tuning.run(
            lambda configuration: score_of(command, configuration, seconds=each),
            trials=trials,
            seconds=seconds,
            failed=CommandFailed,
            tell=lambda count, text: bar.update(count, text),
        )
    best = tuning.best
    if best is None:
        raise TrainingStopped(f"None of {done} trials has a score. The last one: {(tuning.failures or ['none'])[-1]}.")
    plain = {"study": study, "storage": storage, "trials": done, "failed": tuning.failures, "best": best}
    text = (
        f"best of {done} trials ({len(tuning.failures)} failed): {best['score']:.6g} with {name_of(best['settings'])}"
    )
    emit(plain, text, as_json)


def _space(path: Path | None, past: ScoreTable | None) -> Space | None:
    """What the file says, or what the past tried."""
    if path is None:
        if past is not None and not past.candidates.configurations:
            return Space.seen([{"candidate": name} for name in past.candidates.names])
        return None if past is None else past.candidates.space
    try:
        return Space.of(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise BadFile(
            f"There is no {path}; it names the settings, as in: lr = {{ low = 1e-4, high = 1, log = true }}."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path} cannot be read as TOML: {error}.") from error
