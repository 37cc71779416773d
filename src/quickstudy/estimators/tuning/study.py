"""A study of Optuna that begins with what was good in tables and in other studies, and goes on after any end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from ...errors import UserError
from ...learner import Learner
from ...tasks.scores.reading.searches import read_studies
from ...tasks.scores.space import Space
from ...tasks.scores.table import ScoreTable
from ..advisor import LEARNER
from ..automl.store import open_storage, quiet
from ..sampler import MetaSampler, suggest


class Tuning:
    """Trials of one thing.

    Args:
        name: of the study; one of that name in the storage goes on.
        storage: Optuna's address: sqlite:///FILE, postgresql://...
        past: a table of scores.
        space: of the settings; None for what the other studies of the storage have tried.
        minimise: lower scores are better.
        learner: of selection.
        seed: of what is drawn.

    Raises:
        UserError: no space, or a storage that cannot be opened.
    """

    def __init__(
        self,
        name: str,
        storage: str,
        *,
        past: ScoreTable | None = None,
        space: Space | None = None,
        minimise: bool = False,
        learner: str | Learner = LEARNER,
        seed: int = 0,
    ):
        self.storage = open_storage(storage)
        others = self._others(name, minimise)
        known = [table for table in (past, others) if table is not None]
        table = reduce(ScoreTable.joined, known) if known else None
        if space is None and (table is None or table.candidates.space is None):
            raise UserError("There is neither a past nor a space, so nothing says which settings there are; give one.")
        self.space: Space = space or table.candidates.space  # type: ignore[union-attr, assignment]
        count = 0 if table is None else len(table)
        self.about = f"{count} past data sets" if table is not None else "no past data set: trials begin cold"
        direction = StudyDirection.MINIMIZE if minimise else StudyDirection.MAXIMIZE
        with quiet():
            self.study = optuna.create_study(
                storage=self.storage, study_name=name, direction=direction, load_if_exists=True
            )
        # A study that goes on does not draw again what its seed has drawn before.
        seed += len(self.study.get_trials(deepcopy=False))
        cold: BaseSampler = optuna.samplers.TPESampler(seed=seed)
        self.study.sampler = cold if table is None else MetaSampler(table, learner, cold=cold, seed=seed)
        if self.study.direction != direction:
            raise UserError(f"The study '{name}' is to {self.study.direction.name.lower()}; say so, or name another.")

    def run(
        self,
        score: Callable[[Mapping[str, Any]], float],
        *,
        trials: int,
        seconds: float | None = None,
        failed: type[Exception],
        tell: Callable[[int, str], None] | None = None,
    ) -> int:
        """Try configurations until there are so many trials, those of earlier runs included, or the time is up.

        Args:
            score: of a configuration.
            trials: that have ended, in all.
            seconds: after which none begins.
            failed: what `score` raises for a trial that has none; it is recorded, and the next one begins.
            tell: called after every trial with their number and a line.

        Returns:
            How many have ended.
        """

        def attempt(trial: Trial) -> float:
            try:
                return score(suggest(trial, self.space))
            except failed as error:
                trial.set_user_attr("why", str(error))
                raise

        def after(study: optuna.Study, trial: FrozenTrial) -> None:
            if tell is not None:
                best = self.best
                tell(len(self._ended), "" if best is None else f"best {best['score']:.4g}")

        more = trials - len(self._ended)
        if more > 0:
            with quiet():
                self.study.optimize(attempt, n_trials=more, timeout=seconds, catch=(failed,), callbacks=[after])
        return len(self._ended)

    @property
    def best(self) -> dict[str, Any] | None:
        """Score and settings of the best trial; None before there is one."""
        with contextlib.suppress(ValueError):
            return {"score": self.study.best_value, "settings": dict(self.study.best_params)}
        return None

    @property
    def failures(self) -> list[str]:
        """Why trials have no score, the last one last."""
        without = [trial for trial in self._ended if trial.state == TrialState.FAIL]
        return [trial.user_attrs.get("why", "its process was ended from outside") for trial in without]

    @property
    def _ended(self) -> list[FrozenTrial]:
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def _others(self, name: str, minimise: bool) -> ScoreTable | None:
        """The other studies of the storage that go the same way."""
        direction = StudyDirection.MINIMIZE if minimise else StudyDirection.MAXIMIZE
        studies = []
        for other in optuna.get_all_study_names(self.storage):
            study = optuna.load_study(study_name=other, storage=self.storage)
            done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if other != name and study.directions == [direction] and done:
                studies.append(study)
        return read_studies(studies) if studies else None
