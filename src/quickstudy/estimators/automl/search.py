"""The search for good pipelines: trials of Optuna, each fitted in a process of its own, within a time limit."""

from __future__ import annotations

import dataclasses
import queue
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from ...tasks.scores.space import Space
from ..pipelines.worker import TrialFailed, Work, Worker
from ..sampler import suggest
from ..stacking.crossfit import Metric
from .store import Store, Tried, end_dead_trials, quiet

SHARE = 0.25  # of the time limit that one trial may take, once one has come to an end
FOR_THE_STACK = 0.3  # of the time limit that refitting may take at most
KILLED = "its process was ended from outside"
MEMBERS = 8  # pipelines that refitting is expected to be asked for


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a search is.

    Args:
        done: share of the time limit or of the trials, 0..1.
        trials: that have ended.
        best: score so far, NaN before there is one.
        last: the configuration that was tried last.
    """

    done: float
    trials: int
    best: float
    last: Mapping[str, Any]


class Search:
    """One search.

    Args:
        name: of the study; a search of the same name in the same store goes on with its trials.
        work: what pipelines are fitted to.
        space: of pipelines.
        metric: of answers to a fold.
        store: of trials.
        sampler: makes what says what to try next, of the number of trials so far: one that draws by a seed would
            otherwise draw again, in a search that goes on, what it drew before.
        plain: a configuration that is quick to fit, tried next when a trial fails before one has come to an end.
        about: kept with the study.
        seconds: for everything, those of earlier searches of this name included; None if `trials` says when to stop.
        trials: how many at most, earlier ones included; None for any number.
        jobs: how many trials at once.
        tell: called after every trial.
    """

    def __init__(
        self,
        name: str,
        work: Work,
        space: Space,
        metric: Metric,
        *,
        store: Store,
        sampler: Callable[[int], BaseSampler],
        plain: Mapping[str, Any],
        about: Mapping[str, Any],
        seconds: float | None,
        trials: int | None,
        jobs: int = 1,
        tell: Callable[[Progress], None] | None = None,
        began: float | None = None,
    ):
        self.name, self.work, self.space, self.metric, self.store = name, work, space, metric, store
        self.plain, self.trials, self.jobs, self.tell = dict(plain), trials, jobs, tell
        with quiet():
            self.study = optuna.create_study(
                storage=store.storage,
                pruner=optuna.pruners.MedianPruner(n_startup_trials=8),
                study_name=name,
                direction="maximize",
                load_if_exists=True,
            )
        self.study.sampler = sampler(len(self.study.get_trials(deepcopy=False)))
        for key, value in about.items():
            self.study.set_user_attr(key, value)
        self._workers = [Worker(work) for _ in range(jobs)]
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self.limit = seconds
        before = sum(_seconds(trial) for trial in self.study.get_trials(deepcopy=False)) / jobs
        self.began = (time.monotonic() if began is None else began) - before

    @property
    def left(self) -> float:
        """Seconds until the time limit."""
        return float("inf") if self.limit is None else self.began + self.limit - time.monotonic()

    @property
    def reserve(self) -> float:
        """Seconds that refitting the best will take, by how long they took to fit to a part of the rows."""
        best = sorted(self._complete, key=lambda t: -(t.value or 0.0))[:MEMBERS]
        folds = len(self.work.splits)
        needed = 1.0 + self._workers[0].starting + 1.5 * sum(_seconds(t) for t in best) / max(folds - 1, 1)
        return min(needed, FOR_THE_STACK * (self.limit or 0.0))

    @property
    def _complete(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def run(self) -> None:
        """Try pipelines until time or trials are used up."""
        ended = sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))
        more = None if self.trials is None else self.trials - ended
        time_left = None if self.limit is None else self.left - self.reserve
        if (more is None or more > 0) and (time_left is None or time_left > 0):
            with quiet():
                self.study.optimize(
                    self._attempt,
                    n_trials=more,
                    timeout=time_left,
                    n_jobs=self.jobs,
                    catch=(TrialFailed,),
                    callbacks=[self._after],
                )
        end_dead_trials(self.study)

    def refitted(self, configuration: Mapping[str, Any], *, seconds: float) -> Any:
        """A pipeline that has learned from all rows.

        Raises:
            TrialFailed: it could not be fitted, or not in time.
        """
        return self._workers[0].ask("whole", configuration, seconds=seconds)

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.close()

    def tried(self) -> list[Tried]:
        """All trials that have ended, best first."""
        found = [self._tried(trial) for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]
        return sorted(found, key=lambda t: (np.isnan(t.score) or bool(t.why), -t.score if t.score == t.score else 0.0))

    def _attempt(self, trial: Trial) -> float:
        configuration = suggest(trial, self.space)
        worker = self._idle.get()
        worker.start()
        scores, whole = [], np.full((len(self.work.y), max(self.work.outputs, 1)), np.nan)
        end = time.monotonic() + self._allowed()
        try:
            for number, (_, held) in enumerate(self.work.splits):
                seconds = min(end - time.monotonic(), self.left - self.reserve)
                whole[held] = worker.ask("fold", configuration, number, seconds=seconds)
                scores.append(self.metric(self.work.y[held], whole[held]))
                trial.report(float(np.mean(scores)), number)
                trial.set_user_attr("folds", scores)
                if number + 1 < len(self.work.splits) and trial.should_prune():
                    raise optuna.TrialPruned
        except TrialFailed as error:
            trial.set_user_attr("why", str(error))
            if not self._complete:  # better a plain answer than none
                self.study.enqueue_trial(self.plain, skip_if_exists=True)
            raise
        finally:
            self._idle.put(worker)
        self.store.keep(self.name, trial.number, whole)
        return float(np.mean(scores))

    def _allowed(self) -> float:
        """Seconds that a trial may take; more for the first, without which there is no answer."""
        if self.limit is None:
            return float("inf")
        return SHARE * self.limit if self._complete else 0.5 * self.left

    def _after(self, study: Study, trial: FrozenTrial) -> None:
        if self.left <= self.reserve:
            study.stop()
        if self.tell is None:
            return
        trials = study.get_trials(deepcopy=False)
        ended = [t for t in trials if t.state.is_finished()]
        values = [t.value for t in ended if t.value is not None and t.state == TrialState.COMPLETE]
        by_time = 0.0 if self.limit is None else 1 - self.left / self.limit
        by_trials = 0.0 if self.trials is None else len(ended) / self.trials
        self.tell(Progress(max(by_time, by_trials), len(ended), max(values, default=float("nan")), trial.params))

    def _tried(self, trial: FrozenTrial) -> Tried:
        complete = trial.state == TrialState.COMPLETE
        usual = {TrialState.COMPLETE: "", TrialState.PRUNED: "pruned: others were better"}.get(trial.state, KILLED)
        why = trial.user_attrs.get("why", usual)
        folds = tuple(trial.user_attrs.get("folds", ()))
        return Tried(
            trial.number,
            dict(trial.params),
            float(np.mean(folds)) if folds else float("nan"),
            folds,
            _seconds(trial),
            why,
            self.store.kept(self.name, trial.number) if complete else None,
        )


def _seconds(trial: FrozenTrial) -> float:
    return trial.duration.total_seconds() if trial.state.is_finished() and trial.duration is not None else 0.0
